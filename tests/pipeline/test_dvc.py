"""DVC on the real dvc.yaml and code, with a tiny corpus: what runs, what is reused, what results say."""

import json
import re
import shutil

import pandas as pd
import pytest
import torch
import yaml

from conftest import needs_bf16
from ifmmin import systems
from ifmmin.core.terms import CONDITIONS, FULL, availability
from ifmmin.corpus import features, folds, scalings
from ifmmin.evaluation import predictions
from ifmmin.nn.encoders import concatenated
from ifmmin.training import batches, weights
from pipeline.conftest import add_system

pytestmark = pytest.mark.slow

READERS_OF_LAMBDA2 = {"if_mmin", "if_mmin_no_cascade"}
SYSTEMS = ["mctn", "mmin", "mmin_no_cycle", "if_mmin", "if_mmin_no_inv", "if_mmin_no_cascade"]
REFERENCES = ["late_fusion_dropout", "late_fusion_floor", "late_fusion_per_condition"]
PER_CONDITION = {"mctn", "late_fusion_per_condition"}


def systems_of(stages, group):
    """Systems for which stages of a group (train or evaluate) ran."""
    return {
        name.split("@")[1].rsplit("-", 2)[0]
        for name in stages
        if name.startswith(group) and "@" in name and not name.startswith("pretrain")
    }


@pytest.mark.gate
def test_a_second_repro_runs_nothing_and_status_is_clean(reproduced):
    assert reproduced.stages_run("repro") == []
    assert "up to date" in reproduced.run("dvc", "status").stdout
    assert reproduced.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.gate
def test_lambda2_retrains_only_its_readers_and_returns_from_the_cache(project):
    before = json.loads(project.read("metrics/table1.json"))

    ran = project.stages_run("exp", "run", "-S", "lambda2=0.5")
    after = json.loads(project.read("metrics/table1.json"))
    difference = project.run("dvc", "metrics", "diff").stdout
    ran_again = project.stages_run("exp", "run", "-S", "lambda2=100")

    assert systems_of(ran, "train") == systems_of(ran, "evaluate") == READERS_OF_LAMBDA2
    assert not [name for name in ran if name.startswith(("synthesize", "ingest", "split", "pretrain"))]
    assert {name for name in before if after[name] != before[name]} <= READERS_OF_LAMBDA2
    assert after["if_mmin"] != before["if_mmin"]
    assert re.search(
        r"^metrics/summary/if_mmin.json +ua +[\d.]+ +[\d.]+ +-?[\d.]+$", difference, re.MULTILINE
    )
    assert ran_again == []
    assert json.loads(project.read("metrics/table1.json")) == before


def test_mmin_weights_and_fusion_pretraining_retrain_only_their_readers(project):
    """Neither retrains the IF-MMIN family, MCTN or the references."""
    weight = project.stages_run("exp", "run", "-S", "systems.fusion.mmin.cycle_weight=1")
    pretraining = project.stages_run("exp", "run", "-S", "pretrainings.fusion.dropout=0.25")

    assert systems_of(weight, "train") == systems_of(weight, "evaluate") == {"mmin"}
    assert not [name for name in weight if name.startswith("pretrain")]
    readers = {"mmin", "mmin_no_cycle", "late_fusion_dropout"}
    assert systems_of(pretraining, "train") == systems_of(pretraining, "evaluate") == readers
    assert {n.split("@")[1].split("-")[0] for n in pretraining if n.startswith("pretrain")} == {"fusion"}


@pytest.mark.gate
def test_the_table_has_six_systems_and_lists_references_apart(reproduced):
    nested = json.loads(reproduced.read("metrics/table1.json"))
    above = reproduced.read("metrics/table1.md").split("References, not part")[0]
    names = yaml.safe_load(reproduced.read("params.yaml"))["names"]

    assert list(nested) == [*SYSTEMS, *REFERENCES]
    for system, cells in nested.items():
        full = [] if system in PER_CONDITION else [FULL]
        assert list(cells) == ["average", *CONDITIONS, *full], system
    for system in SYSTEMS:
        assert f"| {names[system]} " in above
    for system in REFERENCES:
        assert f"| {names[system]} " not in above
        assert f"| {names[system]} " in reproduced.read("metrics/table1.md")
    latex = reproduced.read("metrics/table1.tex")
    assert all(f"{name} &" in latex.replace(r"\_", "_") for name in names.values())


@pytest.mark.gate
def test_significance_has_every_row_and_notes_too_few_folds(reproduced):
    lines = pd.read_csv(reproduced.folder / "metrics/significance.csv")

    assert len(lines) == 8 * 7 * 2
    assert set(lines["other"]) == {*SYSTEMS, *REFERENCES} - {"if_mmin"}
    assert lines["difference"].notna().all()
    assert lines[["ci_low", "ci_high", "p", "p_holm", "effect_size"]].isna().all(axis=None)
    assert lines["note"].str.contains("2 folds, 1 seed: too few").all()
    assert "too few for a test" in reproduced.read("metrics/table1.md")


@pytest.mark.gate
def test_recalls_average_to_ua_and_confusions_count_all_utterances(reproduced):
    table = pd.read_csv(reproduced.folder / "metrics/table1.csv").set_index(["system", "condition"])
    recalls = pd.read_csv(reproduced.folder / "metrics/recalls.csv")
    confusion = pd.read_csv(reproduced.folder / "metrics/confusion.csv")
    tested = pd.read_parquet(reproduced.folder / "data/predictions/mctn/1-0.parquet")
    tested = pd.concat([tested, pd.read_parquet(reproduced.folder / "data/predictions/mctn/2-0.parquet")])

    means = recalls.groupby(["system", "condition"])["recall"].mean()
    counts = confusion.groupby(["system", "condition"])["count"].sum()
    pd.testing.assert_series_equal(
        means.sort_index(), table["ua"].reindex(means.index).sort_index(), check_names=False
    )
    assert (counts == (tested["condition"] == "a").sum()).all()
    assert len(counts) == 9 * 6 + 7


def test_the_paper_comparison_notes_a_generated_corpus(reproduced):
    lines = pd.read_csv(reproduced.folder / "metrics/comparison.csv")

    assert len(lines) == 6 * 7 * 2
    assert lines["note"].str.startswith("synthetic corpus: not comparable").all()
    assert (lines["ours"] - lines["paper"] - lines["difference"]).abs().max() < 1e-12


def test_tables_follow_a_change_of_folds_without_stale_results(project):
    """With three systems: the target aggregate trains only what they need."""
    rows = ["mctn", "mmin", "if_mmin"]
    changes = ("-S", "folds=[1,2,3]", "-S", f"rows=[{','.join(rows)}]")
    grown = project.stages_run("exp", "run", *changes, "aggregate")
    table = pd.read_csv(project.folder / "metrics/table1.csv")

    assert not [name for name in grown if name.startswith(("synthesize", "ingest"))]
    assert {
        name.split("@")[1].split("-")[-2]
        for name in grown
        if name.startswith(("pretrain", "train", "evaluate"))
    } == {"3"}
    assert set(table["n_folds"]) == {0, 3}
    assert systems_of(grown, "train") == set(rows)

    params = yaml.safe_load(project.read("params.yaml"))
    (project.folder / "params.yaml").write_text(
        yaml.safe_dump(params | {"folds": [2]}, sort_keys=False), "utf-8"
    )
    project.run("dvc", "repro", "aggregate")
    scores = pd.read_csv(project.folder / "metrics/scores.csv")

    assert set(scores["fold"]) == {2}
    assert set(pd.read_csv(project.folder / "metrics/table1.csv")["n_folds"]) == {0, 1}


def test_a_clean_clone_runs_only_ancestors_and_gives_the_same_lock(reproduced, tmp_path):
    """In another folder and without a cache, every artifact has the bytes of the first run."""
    clone = reproduced.clone(tmp_path / "clone")

    ran = clone.stages_run("repro", "evaluate@if_mmin-1-0")

    assert sorted(ran) == sorted(
        [
            "synthesize",
            "ingest",
            "split",
            "configure",
            "pretrain@invariant-1-0",
            "train_invariant@if_mmin-1-0",
            "evaluate@if_mmin-1-0",
        ]
    )
    assert clone.read("dvc.lock") == reproduced.read("dvc.lock")


def test_with_an_external_corpus_synthesize_does_not_run(project, tmp_path):
    pack = tmp_path / "a pack outside"
    shutil.copytree(project.folder / "data/raw/embedded", pack)
    shutil.rmtree(project.folder / "data/raw")

    ran = project.stages_run("exp", "run", "-S", f"corpus={pack}", "aggregate", "draw")

    assert "ingest" in ran
    assert "synthesize" not in ran
    assert not [name for name in ran if name.startswith("train")], (
        "the same pack in another folder must give the same features"
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


@pytest.mark.gate
def test_a_new_system_needs_one_file_and_params_and_runs_alone(project):
    """The file is that of docs/add_a_system.md."""
    name = add_system(project)

    ran = project.stages_run("repro")

    assert systems_of(ran, "train") == systems_of(ran, "evaluate") == {name}
    assert "pretrain" not in " ".join(ran)
    assert list(json.loads(project.read("metrics/table1.json")))[-1] == name
    assert f"| {name} " in project.read("metrics/table1.md").split("References, not part")[1]


def test_dvc_draws_figures_curves_and_confusion_matrices(reproduced):
    output = reproduced.run("dvc", "plots", "show", "--json").stdout
    plots = json.loads(output)

    assert not plots.get("errors"), plots["errors"]
    names = " ".join(plots.get("data", plots))
    for part in ("fig3a.png", "fig3b.png", "Loss", "Validation UA", "Confusion", "Class recall"):
        assert part in names, names


@pytest.mark.gate
def test_each_stage_records_its_cost_and_its_hardware(reproduced):
    """The record is in logs/, which git ignores."""
    record = json.loads(reproduced.read("logs/train_invariant@if_mmin-1-0.json"))

    assert record["device"] == "cpu"
    assert record["precision"] == "float32"
    assert record["threads"] == 1
    assert record["seconds"] > 0
    assert record["peak_rss_bytes"] > 1e6
    assert record["processor"]


@pytest.mark.gate
def test_stored_predictions_are_those_of_the_saved_model(reproduced):
    """The model, rebuilt from its file and run on each masked input, gives the stored logits."""
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
    system = systems.build("if_mmin", start=header["start"], build=header["build"])
    system.load_state_dict(tensors)
    weight, bias = (tensors[f"invariant_input.joint.{name}"] for name in ("weight", "bias"))
    test = sorted(roles.loc[roles["role"] == "test", "utterance_id"])

    assert sorted(set(stored["condition"])) == sorted((*CONDITIONS, FULL))
    for condition, rows in stored.groupby("condition"):
        available = torch.tensor([availability(condition)]).expand(len(test), -1)
        with torch.no_grad():
            h_m = system.eval().encoders.encode(corpus.select(corpus.rows["test"]), available)
            H_prime = concatenated(system.encoders.invariant(h_m)) @ weight.T + bias
            O = system.classifier(system.imagination(concatenated(h_m), H_prime).C)

        assert rows["utterance_id"].tolist() == test
        torch.testing.assert_close(
            torch.tensor(rows[[f"logit_{c}" for c in classes]].to_numpy()), O, atol=1e-5, rtol=1e-5
        )


def test_a_system_starts_from_the_encoders_of_its_fold(project):
    """At a learning rate near 0, a trained system keeps its pretrained encoders.

    Fold 3 and not 2: folds 1 and 2 train on the same eight speakers.
    """
    changes = ("-S", "train.lr=1e-12", "-S", "folds=[1,3]")
    project.run("dvc", "exp", "run", *changes, "train_invariant@if_mmin-3-0")
    encoders, _ = weights.read(project.folder / "data/encoders/invariant/3-0.safetensors")
    others, _ = weights.read(project.folder / "data/encoders/invariant/1-0.safetensors")
    model, _ = weights.read(project.folder / "data/models/if_mmin/3-0.safetensors")

    assert encoders
    for name, x in encoders.items():
        torch.testing.assert_close(model[f"encoders.{name}"], x, atol=1e-8, rtol=0)
    assert any(not torch.allclose(model[f"encoders.{name}"], x, atol=1e-4) for name, x in others.items())


@needs_bf16
def test_the_table_names_a_precision_that_only_pretraining_used(project):
    project.run("dvc", "repro", "-s", "-f", "pretrain@invariant-1-0", IFMMIN_PRECISION="bf16")
    project.run("dvc", "repro")

    assert "cpu bf16, cpu float32" in project.read("metrics/table1.md")


def test_a_system_under_the_wrong_kind_of_encoders_is_refused(project):
    params = yaml.safe_load(project.read("params.yaml"))
    params["systems"]["fusion"]["if_mmin"] = params["systems"]["invariant"].pop("if_mmin")
    (project.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")

    done = project.run("dvc", "repro", check=False)

    assert done.returncode != 0
    assert "expected systems.invariant" in done.stderr
    assert "Traceback" not in done.stderr
