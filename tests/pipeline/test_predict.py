"""ifmmin predict on the small project's models and on packs with gaps."""

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
    """Calibrated probabilities from what evaluate has written."""
    _, header = weights.read(project.folder / f"data/models/{system}/1-0.safetensors")
    table = pd.read_parquet(project.folder / f"data/predictions/{system}/1-0.parquet")
    rows = table[table["condition"] == condition].set_index("utterance_id")
    logits = rows.filter(like="logit_").to_numpy(np.float64)
    return rows.index, softmax(logits / header["calibration"][condition]["temperature"], axis=1)


@pytest.mark.gate
@pytest.mark.parametrize(
    "system", ["if_mmin", "mmin", "mctn", "late_fusion_floor", "late_fusion_per_condition"]
)
def test_it_says_of_test_utterances_what_evaluate_has_written(project, system):
    model = f"data/models/{system}/1-0.safetensors"
    for condition in ("a", "vt"):
        ids, expected = saved(project, system, condition)

        said = predicted(project, "--model", model, "--input", "data/raw/embedded", "--condition", condition)

        np.testing.assert_allclose(said.loc[ids].filter(like="p_").to_numpy(), expected, atol=1e-5)
        assert (said["condition"] == condition).all()


@pytest.fixture
def gappy(project):
    """The pack without targets: every third utterance lacks v, every fourth lacks t or is zero there."""
    pack = project.folder / "gappy"
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


def test_gaps_are_found_and_an_ensemble_answers_by_its_mean(project, gappy):
    pack, conditions = gappy
    together = predicted(project, "--model", "data/models/if_mmin", "--input", str(pack))
    apart = [
        predicted(project, "--model", f"data/models/if_mmin/{fold}-0.safetensors", "--input", str(pack))
        for fold in (1, 2)
    ]

    assert together["condition"].to_dict() == conditions
    mean = (apart[0].filter(like="p_") + apart[1].filter(like="p_")) / 2
    pd.testing.assert_frame_equal(together.filter(like="p_"), mean)
    test = [i for i in saved(project, "if_mmin", "at")[0] if conditions[i] == "at"]
    ids, expected = saved(project, "if_mmin", "at")
    np.testing.assert_allclose(
        apart[0].loc[test].filter(like="p_").to_numpy(), expected[ids.get_indexer(test)], atol=1e-5
    )


def test_files_of_single_modalities_are_read_too(project, gappy):
    pack, conditions = gappy
    model = "data/models/if_mmin/1-0.safetensors"

    said = predicted(project, "--model", model, "--input", f"a={pack / FILES['a']}", f"t={pack / FILES['t']}")

    assert said["condition"].to_dict() == {i: c.replace("v", "") for i, c in conditions.items()}


def test_neither_batches_nor_threads_change_an_answer(project, gappy, monkeypatch):
    pack, conditions = gappy
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(api, "AT_ONCE", 7)
    model = api.load("data/models/if_mmin")

    def told(threads):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        return model.predict_pack(str(pack))

    pd.testing.assert_frame_equal(told(1), told(3), check_exact=True)
    said = told(2).set_index("utterance_id")
    assert list(said.index) == sorted(conditions)
    whole = predicted(project, "--model", "data/models/if_mmin", "--input", str(pack))
    np.testing.assert_allclose(said.filter(like="p_"), whole.filter(like="p_"), atol=1e-6)


def test_an_export_answers_as_the_model_that_it_was_made_of(project):
    about = yaml.safe_load(project.read("dvc.yaml"))["artifacts"]["if_mmin"]

    said = [
        predicted(project, "--model", model, "--input", "data/raw/embedded")
        for model in (about["path"], "data/models/if_mmin/1-0.safetensors")
    ]

    pd.testing.assert_frame_equal(*said, check_exact=True)


def test_a_pack_without_an_utterance_and_a_wrong_number_of_threads_are_a_sentence_each(project):
    given = ("--model", "data/models/if_mmin", "--input", "a=nobody.h5")
    with h5py.File(project.folder / "nobody.h5", "w"):
        pass

    empty = project.run(*PREDICT, *given, check=False)
    threads = project.run(*PREDICT, *given, check=False, OMP_NUM_THREADS="many")

    assert empty.stderr == (
        "nobody.h5: no utterance; expected one data set per utterance. Pass another file or pack.\n"
    )
    assert "OMP_NUM_THREADS is 'many'; expected an integer from 1." in threads.stderr
    assert (empty.returncode, threads.returncode) == (1, 1)


@pytest.mark.gate
def test_models_of_several_systems_are_refused_as_an_ensemble(project):
    given = ("--model", "data/models", "--input", "data/raw/embedded")

    done = project.run(*PREDICT, *given, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("--model names models of 8 systems (if_mmin, if_mmin_no_cascade, ")


@pytest.mark.gate
def test_a_model_of_a_synthetic_corpus_answers_no_real_frames_unless_told_to(project):
    """A pack whose acoustic frames openSMILE made; other modalities name nothing."""
    pack = project.folder / "real"
    (pack / "A").mkdir(parents=True)
    shutil.copy(project.folder / "data/raw/embedded/A/comparE.h5", pack / "A")
    (pack / "pack.json").write_text('{"extractors": {"a": "opensmile"}}', "utf-8")
    given = ("--model", "data/models/if_mmin/1-0.safetensors", "--input", "real")

    refused = project.run(*PREDICT, *given, check=False)
    told = predicted(project, *given, "--any-extractor")

    assert refused.returncode == 1
    assert "was trained on modality a of a synthetic corpus (the generator of the embedded" in refused.stderr
    assert "the input was made by opensmile" in refused.stderr
    assert told["warning"].str.startswith("other extractor: a: a synthetic corpus").all()
    assert "warning" in project.run(*PREDICT, *given, "--any-extractor").stdout


def test_predict_leaves_nothing_where_it_is_called(project, tmp_path):
    model, pack = (project.folder / name for name in ("data/models/if_mmin", "data/raw/embedded"))
    (tmp_path / "elsewhere").mkdir()

    Project(tmp_path / "elsewhere").run(
        *PREDICT, "--model", str(model), "--input", str(pack), PYTHONPATH=str(project.folder)
    )

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_models_header_says_what_it_was_trained_on(project):
    _, header = weights.read(project.folder / "data/models/if_mmin/2-0.safetensors")

    assert header["corpus"]["classes"] == ["angry", "happy", "neutral", "sad"]
    assert header["corpus"]["synthetic"] is True
    assert header["scaling"] == yaml.safe_load(project.read("data/folds/2_scaling.json"))
    assert set(header["calibration"]) == {"a", "v", "t", "av", "at", "vt", "avt"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--input", "nowhere"], "nowhere: neither a feature pack nor files; expected a folder with one of "),
        (["--input", "a=params.yaml"], "params.yaml: not a readable HDF5 file"),
        (
            ["--input", "data/raw/embedded", "--out", "x.txt"],
            "x.txt: ends in .txt; expected .parquet or .csv.",
        ),
        (["--input", "data/raw/embedded", "--model", "metrics"], "metrics: holds no model;"),
        (
            ["--input", "data/raw/embedded", "--model", "data/encoders/fusion"],
            "1-0.safetensors: is no model that",
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
def test_a_mistake_is_one_sentence_and_writes_nothing(reproduced, arguments, sentence, tmp_path):
    given = arguments if "--model" in arguments else [*arguments, "--model", "data/models/if_mmin"]
    out = [] if "--out" in given else ["--out", str(tmp_path / "e.csv")]

    done = reproduced.run(*PREDICT, *given, *out, check=False)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert sentence in done.stderr
    assert not (tmp_path / "e.csv").exists()
