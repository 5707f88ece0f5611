"""What DVC does with this pipeline: that is the product. The real dvc.yaml and code, on a tiny corpus."""

import json
import shutil

import pandas as pd
import pytest
import torch
import yaml

from ifmmin import batches, systems
from ifmmin.artifacts import features, folds, predictions, scalings, weights
from ifmmin.nn.encoders import concatenated
from ifmmin.terms import CONDITIONS, FULL, availability

pytestmark = pytest.mark.slow

READERS_OF_LAMBDA2 = {"if_mmin", "if_mmin_no_cascade"}


def systems_of(stages, group):
    return {name.split("@")[1].rsplit("-", 2)[0] for name in stages if name.startswith(f"{group}@")}


def test_a_second_repro_runs_nothing_and_status_is_clean(reproduced):
    assert reproduced.stages_run("repro") == []
    assert "up to date" in reproduced.run("dvc", "status").stdout
    assert reproduced.run("git", "status", "--porcelain").stdout == ""


def test_lambda2_retrains_its_readers_alone_and_comes_back_from_the_cache(project):
    before = json.loads(project.read("metrics/table1.json"))

    ran = project.stages_run("exp", "run", "-S", "lambda2=0.5")
    after = json.loads(project.read("metrics/table1.json"))
    difference = project.run("dvc", "metrics", "diff").stdout
    back = project.stages_run("exp", "run", "-S", "lambda2=100")

    assert systems_of(ran, "train_invariant") == systems_of(ran, "evaluate") == READERS_OF_LAMBDA2
    assert not [name for name in ran if name.startswith(("synthesize", "ingest", "split", "pretrain"))]
    assert after["if_mmin_no_inv"] == before["if_mmin_no_inv"]
    assert after["if_mmin"] != before["if_mmin"]
    assert "if_mmin.average.ua" in difference
    assert back == []
    assert json.loads(project.read("metrics/table1.json")) == before


def test_more_folds_grow_the_table_and_fewer_leave_no_stale_file_in_it(project):
    grown = project.stages_run("exp", "run", "-S", "folds=[1,2,3]")
    table = pd.read_csv(project.folder / "metrics/table1.csv")

    assert not [name for name in grown if name.startswith(("synthesize", "ingest", "configure"))]
    assert {
        name.split("@")[1].split("-")[-2]
        for name in grown
        if name.startswith(("pretrain", "train", "evaluate"))
    } == {"3"}
    assert set(table["n_folds"]) == {3}

    params = yaml.safe_load(project.read("params.yaml"))
    (project.folder / "params.yaml").write_text(
        yaml.safe_dump(params | {"folds": [2]}, sort_keys=False), "utf-8"
    )
    project.run("dvc", "repro")
    scores = pd.read_csv(project.folder / "metrics/scores.csv")

    assert set(scores["fold"]) == {2}
    assert set(pd.read_csv(project.folder / "metrics/table1.csv")["n_folds"]) == {1}


def test_one_fold_in_a_clean_clone_runs_its_ancestors_alone_and_gives_the_same_lock(reproduced, tmp_path):
    """Another folder, no cache: the bytes of every artifact are those of the first run."""
    clone = reproduced.clone(tmp_path / "clone")

    ran = clone.stages_run("repro", "evaluate@if_mmin-1-0")

    assert sorted(ran) == sorted(
        [
            "synthesize",
            "ingest",
            "split",
            "configure",
            "pretrain_invariant@1-0",
            "train_invariant@if_mmin-1-0",
            "evaluate@if_mmin-1-0",
        ]
    )
    assert clone.read("dvc.lock") == reproduced.read("dvc.lock")


def test_with_a_corpus_elsewhere_nothing_depends_on_synthesize(project, tmp_path):
    pack = tmp_path / "a pack outside"
    shutil.copytree(project.folder / "data/raw/embedded", pack)
    shutil.rmtree(project.folder / "data/raw")

    ran = project.stages_run("exp", "run", "-S", f"corpus={pack}", "aggregate", "draw")

    assert "ingest" in ran
    assert "synthesize" not in ran
    assert not [name for name in ran if name.startswith("train")], (
        "the same pack elsewhere gives the same features"
    )


def test_a_bad_pack_is_refused_before_any_training(project, tmp_path):
    pack = tmp_path / "pack"
    shutil.copytree(project.folder / "data/raw/embedded", pack)
    (pack / "V/denseface.h5").write_bytes(b"no HDF5 at all")

    done = project.run("dvc", "repro", "aggregate", check=False)
    assert done.returncode == 0
    params = yaml.safe_load(project.read("params.yaml"))
    (project.folder / "params.yaml").write_text(
        yaml.safe_dump(params | {"corpus": str(pack)}, sort_keys=False), "utf-8"
    )
    done = project.run("dvc", "repro", "aggregate", check=False)

    assert done.returncode != 0
    assert "denseface.h5: not a readable HDF5 file" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "pretrain" not in done.stdout


def test_a_new_system_is_one_file_and_its_params_lines_and_runs_alone(project):
    source = 'from functools import partial\n\nfrom ifmmin.nn import if_mmin\n\nPRETRAINING = "invariant"\n\n'
    (project.folder / "stages/ifmmin/systems/seventh.py").write_text(
        f'"""A seventh row."""\n\n{source}build = partial(if_mmin.build, lambda1=0.0)\n', "utf-8"
    )
    params = yaml.safe_load(project.read("params.yaml"))
    params["systems"]["invariant"]["seventh"] = {}
    params["rows"].append("seventh")
    (project.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")

    ran = project.stages_run("repro")

    assert systems_of(ran, "train_invariant") == systems_of(ran, "evaluate") == {"seventh"}
    assert "pretrain_invariant" not in " ".join(ran)
    assert list(json.loads(project.read("metrics/table1.json")))[-1] == "seventh"


def test_figures_curves_and_confusion_matrices_are_drawn_by_dvc(reproduced):
    shown = reproduced.run("dvc", "plots", "show", "--json").stdout
    plots = json.loads(shown)

    assert not plots.get("errors"), plots["errors"]
    names = " ".join(plots.get("data", plots))
    for part in ("fig3a.png", "fig3b.png", "Loss", "Validation UA", "Confusion"):
        assert part in names, names


def test_each_result_says_on_what_it_was_made(reproduced):
    """What a stage cost and on what it ran stands in logs/, which git ignores."""
    record = json.loads(reproduced.read("logs/train_invariant@if_mmin-1-0.json"))

    assert record["device"] == "cpu"
    assert record["precision"] == "float32"
    assert record["threads"] == 1
    assert record["seconds"] > 0
    assert record["peak_rss_bytes"] > 1e6
    assert record["processor"]


def test_predictions_are_those_of_the_model_on_the_folds_test_utterances(reproduced):
    """Rebuilt from its file and run on each masked input, the model gives the logits that are stored."""
    data = reproduced.folder / "data"
    stored, classes, _ = predictions.read(data / "predictions/if_mmin/1-0.parquet")
    tensors, header = weights.read(data / "models/if_mmin/1-0.safetensors")
    roles = folds.read(data / "folds/1.parquet")
    corpus = batches.corpus(
        *features.read(data / "features"),
        roles,
        scalings.read(data / "folds/1_scaling.json"),
        torch.device("cpu"),
    )
    system = systems.build("if_mmin", **{key: header[key] for key in ("encoders", "n_classes", "build")})
    system.load_state_dict(tensors)
    test = sorted(roles.loc[roles["role"] == "test", "utterance_id"])

    assert sorted(set(stored["condition"])) == sorted((*CONDITIONS, FULL))
    for condition, rows in stored.groupby("condition"):
        available = torch.tensor([availability(condition)]).expand(len(test), -1)
        with torch.no_grad():
            h_m = system.eval().encoders.encode(corpus.select(corpus.rows["test"]), available)
            H_prime = concatenated(system.encoders.invariant(h_m))
            O = system.classifier(system.imagination(concatenated(h_m), H_prime).C)

        assert rows["utterance_id"].tolist() == test
        torch.testing.assert_close(
            torch.tensor(rows[[f"logit_{c}" for c in classes]].to_numpy()), O, atol=1e-5, rtol=1e-5
        )


def test_a_system_starts_from_the_encoders_of_its_fold(project):
    """With a learning rate near 0 a trained system still has its pretrained encoders."""
    project.run("dvc", "exp", "run", "-S", "train.lr=1e-12", "train_invariant@if_mmin-2-0")
    encoders, _ = weights.read(project.folder / "data/encoders/invariant/2-0.safetensors")
    others, _ = weights.read(project.folder / "data/encoders/invariant/1-0.safetensors")
    model, _ = weights.read(project.folder / "data/models/if_mmin/2-0.safetensors")

    assert encoders
    for name, x in encoders.items():
        torch.testing.assert_close(model[f"encoders.{name}"], x, atol=1e-8, rtol=0)
    assert any(not torch.allclose(model[f"encoders.{name}"], x, atol=1e-4) for name, x in others.items())


def test_a_precision_that_only_pretraining_had_is_named_under_the_table(project):
    project.run("dvc", "repro", "-s", "-f", "pretrain_invariant@1-0", IFMMIN_PRECISION="bf16")
    project.run("dvc", "repro")

    assert "cpu bf16, cpu float32" in project.read("metrics/table1.md")


def test_a_system_under_the_wrong_kind_of_encoders_is_refused(project):
    params = yaml.safe_load(project.read("params.yaml"))
    params["pretrainings"]["fusion"] = params["pretrainings"]["invariant"]
    params["systems"]["fusion"] = {"if_mmin": params["systems"]["invariant"].pop("if_mmin")}
    (project.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")

    done = project.run("dvc", "repro", check=False)

    assert done.returncode != 0
    assert "its file starts from 'invariant'" in done.stderr
    assert "Traceback" not in done.stderr
