"""`ifmmin predict` with the small project's models, also on packs with missing modalities."""

import shutil
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.special import softmax

from conftest import FILES
from ifmmin.deploy import api
from ifmmin.training import weights
from pipeline.conftest import Project

pytestmark = pytest.mark.slow

PREDICT = (sys.executable, "-m", "ifmmin", "predict")


def predicted(project, *arguments):
    project.run(*PREDICT, *arguments, "--out", "emotions.parquet")
    return pd.read_parquet(project.folder / "emotions.parquet").set_index("utterance_id")


def saved(project, system, condition):
    """Calibrated probabilities from the predictions that evaluate wrote."""
    _, header = weights.read(project.folder / f"data/models/{system}/1-0.safetensors")
    table = pd.read_parquet(project.folder / f"data/predictions/{system}/1-0.parquet")
    rows = table[table["condition"] == condition].set_index("utterance_id")
    logits = rows.filter(like="logit_").to_numpy(np.float64)
    return rows.index, softmax(logits / header["calibration"][condition]["temperature"], axis=1)


@pytest.mark.gate
@pytest.mark.parametrize(
    "system", ["if_mmin", "mmin", "mctn", "late_fusion_floor", "late_fusion_per_condition"]
)
def test_predict_agrees_with_what_evaluate_wrote(project, system):
    model = f"data/models/{system}/1-0.safetensors"
    for condition in ("a", "vt"):
        ids, expected = saved(project, system, condition)

        table = predicted(project, "--model", model, "--input", "data/raw/embedded", "--condition", condition)

        np.testing.assert_allclose(table.loc[ids].filter(like="p_").to_numpy(), expected, atol=1e-5)
        assert (table["condition"] == condition).all()


@pytest.fixture
def incomplete(project):
    """The pack without targets; every third utterance lacks v, and t is missing or zero in every fourth."""
    pack = project.folder / "incomplete"
    shutil.copytree(project.folder / "data/raw/embedded", pack, ignore=shutil.ignore_patterns("target"))
    with h5py.File(pack / FILES["a"]) as file:
        ids = sorted(file)
    with h5py.File(pack / FILES["v"], "a") as v, h5py.File(pack / FILES["t"], "a") as t:
        for i in ids[::3]:
            del v[i]
        for n, i in enumerate(ids[::4]):
            t[i][...] = 0
            if n % 2:
                del t[i]
    conditions = {i: "a" + ("v" if n % 3 else "") + ("t" if n % 4 else "") for n, i in enumerate(ids)}
    return pack, conditions


def test_missing_modalities_are_detected_and_an_ensemble_averages(project, incomplete):
    pack, conditions = incomplete
    ensemble = predicted(project, "--model", "data/models/if_mmin", "--input", str(pack))
    single_models = [
        predicted(project, "--model", f"data/models/if_mmin/{fold}-0.safetensors", "--input", str(pack))
        for fold in (1, 2)
    ]

    assert ensemble["condition"].to_dict() == conditions
    mean = (single_models[0].filter(like="p_") + single_models[1].filter(like="p_")) / 2
    pd.testing.assert_frame_equal(ensemble.filter(like="p_"), mean)
    test = [i for i in saved(project, "if_mmin", "at")[0] if conditions[i] == "at"]
    ids, expected = saved(project, "if_mmin", "at")
    np.testing.assert_allclose(
        single_models[0].loc[test].filter(like="p_").to_numpy(), expected[ids.get_indexer(test)], atol=1e-5
    )


def test_files_of_single_modalities_are_read_too(project, incomplete):
    pack, conditions = incomplete
    model = "data/models/if_mmin/1-0.safetensors"

    table = predicted(
        project, "--model", model, "--input", f"a={pack / FILES['a']}", f"t={pack / FILES['t']}"
    )

    assert table["condition"].to_dict() == {i: c.replace("v", "") for i, c in conditions.items()}


def test_neither_batches_nor_threads_change_a_prediction(project, incomplete, monkeypatch):
    pack, conditions = incomplete
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(api, "AT_ONCE", 7)
    model = api.load("data/models/if_mmin")

    def predict_with(threads):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        return model.predict_pack(str(pack))

    pd.testing.assert_frame_equal(predict_with(1), predict_with(3), check_exact=True)
    in_batches_of_7 = predict_with(2).set_index("utterance_id")
    assert list(in_batches_of_7.index) == sorted(conditions)
    in_default_batches = predicted(project, "--model", "data/models/if_mmin", "--input", str(pack))
    np.testing.assert_allclose(
        in_batches_of_7.filter(like="p_"), in_default_batches.filter(like="p_"), atol=1e-6
    )


def test_an_export_predicts_like_the_model_it_was_made_from(project):
    artifact = yaml.safe_load(project.read("dvc.yaml"))["artifacts"]["if_mmin"]

    tables = [
        predicted(project, "--model", model, "--input", "data/raw/embedded")
        for model in (artifact["path"], "data/models/if_mmin/1-0.safetensors")
    ]

    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_an_empty_pack_and_a_bad_thread_count_are_refused(project):
    arguments = ("--model", "data/models/if_mmin", "--input", "a=nobody.h5")
    with h5py.File(project.folder / "nobody.h5", "w"):
        pass

    empty = project.run(*PREDICT, *arguments, check=False)
    threads = project.run(*PREDICT, *arguments, check=False, OMP_NUM_THREADS="many")

    assert empty.stderr == (
        "nobody.h5: no utterance; expected one dataset per utterance. Pass another file or pack.\n"
    )
    assert "OMP_NUM_THREADS is 'many'; expected a positive integer." in threads.stderr
    assert (empty.returncode, threads.returncode) == (1, 1)


@pytest.mark.gate
def test_models_of_several_systems_are_refused_as_an_ensemble(project):
    arguments = ("--model", "data/models", "--input", "data/raw/embedded")

    done = project.run(*PREDICT, *arguments, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("--model: the models belong to 9 systems (if_mmin, if_mmin_no_cascade, ")


@pytest.mark.gate
def test_a_model_of_a_synthetic_corpus_refuses_real_frames_by_default(project):
    """A pack with acoustic frames from openSMILE; no extractor is named for the other modalities."""
    pack = project.folder / "real"
    (pack / "A").mkdir(parents=True)
    shutil.copy(project.folder / "data/raw/embedded/A/comparE.h5", pack / "A")
    (pack / "pack.json").write_text('{"extractors": {"a": "opensmile"}}', "utf-8")
    arguments = ("--model", "data/models/if_mmin/1-0.safetensors", "--input", "real")

    refused = project.run(*PREDICT, *arguments, check=False)
    forced = predicted(project, *arguments, "--any-extractor")

    assert refused.returncode == 1
    assert "was trained on acoustic features from a synthetic corpus (synthetic corpus" in refused.stderr
    assert "the input features are from opensmile" in refused.stderr
    assert forced["warning"].str.startswith("other extractor: a: a synthetic corpus").all()
    assert "warning" in project.run(*PREDICT, *arguments, "--any-extractor").stdout


def test_predict_leaves_nothing_in_the_working_folder(project, tmp_path):
    model, pack = (project.folder / name for name in ("data/models/if_mmin", "data/raw/embedded"))
    (tmp_path / "elsewhere").mkdir()

    Project(tmp_path / "elsewhere").run(
        *PREDICT, "--model", str(model), "--input", str(pack), PYTHONPATH=str(project.folder)
    )

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_header_of_a_model_describes_its_corpus(project):
    _, header = weights.read(project.folder / "data/models/if_mmin/2-0.safetensors")

    assert header["corpus"]["classes"] == ["angry", "happy", "neutral", "sad"]
    assert header["corpus"]["synthetic"] is True
    assert header["scaling"] == yaml.safe_load(project.read("data/folds/2_scaling.json"))
    assert set(header["calibration"]) == {"a", "v", "t", "av", "at", "vt", "avt"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "nowhere"], "nowhere: neither a feature pack nor files; expected a folder with one of "),
        (["--input", "a=params.yaml"], "params.yaml: not a readable HDF5 file"),
        (
            ["--input", "data/raw/embedded", "--out", "x.txt"],
            "x.txt: file name extension is .txt; expected .parquet or .csv.",
        ),
        (["--input", "data/raw/embedded", "--model", "metrics"], "metrics: holds no model;"),
        (
            ["--input", "data/raw/embedded", "--model", "data/encoders/fusion"],
            "1-0.safetensors: is not a usable model",
        ),
        (
            ["--input", "data/raw/embedded", "--model", "params.yaml"],
            "params.yaml: not a weights file of this pipeline",
        ),
        (
            ["--input", "data/raw/embedded", "--model", "data/models/mctn"],
            "has one network for each condition and none for {a,v,t}; expected fewer modalities.",
        ),
    ],
)
def test_a_wrong_argument_is_a_one_line_error_and_writes_nothing(reproduced, arguments, message, tmp_path):
    arguments = arguments if "--model" in arguments else [*arguments, "--model", "data/models/if_mmin"]
    out = [] if "--out" in arguments else ["--out", str(tmp_path / "e.csv")]

    done = reproduced.run(*PREDICT, *arguments, *out, check=False)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "e.csv").exists()
