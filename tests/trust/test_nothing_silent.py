"""NaN or infinity stops a stage with a one-line error message and never reaches a table."""

import shutil

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml

from conftest import ROOT
from ifmmin.core.errors import UserError
from ifmmin.core.terms import CONDITIONS
from ifmmin.evaluation import invariants, missing_frames, predictions
from ifmmin.training import histories, loop, weights
from ifmmin.training.prediction import TrainingError
from trust import small
from trust.conftest import FOLD, SEED

each_bad = pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)


def spoil(path, name, value):
    """Overwrite one number in a weights file with a value that no stage would write."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118 - no mapping
    tensors[name].view(-1)[-1] = value
    safetensors.torch.save_file(tensors, path, metadata)


def message(refused):
    """The error message, which must be one line."""
    assert "\n" not in str(refused.value)
    return str(refused.value)


@each_bad
def test_train_refuses_nonfinite_encoders(stages, pack_of, value):
    run = stages().corpus(pack_of())
    run.pretrain("invariant")
    spoil(run.path("invariant", "weights"), "specificity.a.lstm.bias_ih_l0", value)

    with pytest.raises(UserError) as refused:
        run.train("if_mmin")

    assert "specificity.a.lstm.bias_ih_l0: not all values are finite" in message(refused)
    assert not run.path("if_mmin", "weights").exists()


@pytest.mark.parametrize("name", small.SYSTEMS)
def test_evaluate_refuses_any_nonfinite_weight(stages, pack_of, name):
    """Predictions alone would not show it: a gate can have an infinite bias, and the cycle is not run."""
    run = stages().corpus(pack_of()).make(name)
    for key in list(weights.read(run.path(name, "weights"))[0])[:: 7 if name == "mctn" else 3]:
        kept = run.path(name, "weights").read_bytes()
        spoil(run.path(name, "weights"), key, np.inf)

        with pytest.raises(UserError) as refused:
            run.evaluate(name)

        assert f"{key}: not all values are finite" in message(refused)
        assert not run.path(name, "predictions").exists()
        run.path(name, "weights").write_bytes(kept)


def test_evaluate_refuses_the_model_of_another_system(stages, pack_of):
    run = stages().corpus(pack_of()).make("mctn")
    target = run.path("late_fusion_per_condition", "weights")
    target.parent.mkdir(exist_ok=True)
    run.path("mctn", "weights").rename(target)

    with pytest.raises(UserError) as refused:
        run.evaluate("late_fusion_per_condition")

    assert "holds system 'mctn'; expected system 'late_fusion_per_condition'" in message(refused)
    assert not run.path("late_fusion_per_condition", "predictions").exists()


@pytest.mark.parametrize("name", small.ALL)
def test_training_on_nan_frames_stops_with_loss_epoch_and_step(stages, pack_of, name):
    """Ingest refuses such a pack, so the test changes the ingested features."""
    run = stages().corpus(pack_of())
    frames = np.load(run.folder / "features" / "a.npy")
    frames[:] = np.nan
    np.save(run.folder / "features" / "a.npy", frames)

    expected = r"^L is nan, L_\w+ is nan.* in epoch 1, step 1; expected"
    with pytest.raises(TrainingError, match=expected) as refused:
        run.make(name)

    assert message(refused)
    assert not run.path(name, "weights").exists()
    assert not run.path(name, "history.csv").exists()


@each_bad
def test_training_that_ends_with_nonfinite_weights_writes_no_file(stages, pack_of, monkeypatch, value):
    run = stages().corpus(pack_of())
    fit = loop.fit

    def spoiling(system, *args, **options):
        fitted = fit(system, *args, **options)
        with torch.no_grad():
            system.encoders.specificity["t"].projection.bias[0] = value
        return fitted

    monkeypatch.setattr(loop, "fit", spoiling)
    with pytest.raises(UserError, match=r"specificity\.t\.projection\.bias: not all values are finite"):
        run.pretrain("fusion")
    assert not run.path("fusion", "weights").exists()
    assert not run.path("fusion", "history.csv").exists()


def test_an_infinite_validation_loss_stops_with_its_name(corpus):
    """The logits are finite, but their difference and the cross entropy are infinite."""
    system = small.system("late_fusion_floor")
    with torch.no_grad():
        system.classifier.out.weight.zero_()
        system.classifier.out.bias.copy_(torch.tensor([3e38, -3e38, 0.0, 0.0]))

    with pytest.raises(TrainingError, match="validation_L_cls is inf over the validation utterances"):
        loop.validate(system, corpus, "float32", {})


@each_bad
@pytest.mark.parametrize("column", ["L", "validation_L_cls", "std_h_a", "lr"])
def test_a_nonfinite_history_is_neither_written_nor_read(tmp_path, column, value):
    history = pd.DataFrame(
        {"epoch": [1, 2], "chosen": [0, 1]}
        | {name: [0.5, 0.25] for name in (*histories.REQUIRED[1:], "std_h_a")}
    )
    bad = history.assign(**{column: [0.5, value]})
    path = tmp_path / "history.csv"

    with pytest.raises(UserError, match=f"history.csv: a value in column '{column}' is not finite"):
        histories.write(path, bad)
    assert not path.exists()
    bad.to_csv(path, index=False)
    with pytest.raises(UserError, match=f"history.csv: a value in column '{column}' is not finite"):
        histories.read(path)


@each_bad
def test_nonfinite_missing_frame_predictions_are_neither_written_nor_read(tmp_path, monkeypatch, value):
    part = pd.DataFrame(
        {"utterance_id": ["x"], "condition": ["a"], "label": [0], "predicted": [0]}
        | {"logit_k": np.array([value], np.float32)}
    )
    path = tmp_path / "missing_frames"

    with pytest.raises(UserError, match="missing_frames: a logit is not finite"):
        missing_frames.write(path, {0.1: part}, ["k"], {})
    assert not path.exists()
    with monkeypatch.context() as patch:
        patch.setattr(missing_frames, "_check", lambda path, table: None)
        missing_frames.write(path, {0.1: part}, ["k"], {})
    with pytest.raises(UserError, match="missing_frames: a logit is not finite"):
        missing_frames.read(path)


@each_bad
def test_nonfinite_invariant_features_are_neither_written_nor_read(tmp_path, monkeypatch, value):
    keys = pd.DataFrame({"utterance_id": ["x", "y"], "condition": ["a", "a"]})
    H_prime = np.array([[1, 2], [3, value]], np.float32)
    path = tmp_path / "invariants"

    with pytest.raises(UserError, match="invariants: a value of H' is not finite"):
        invariants.write(path, keys, H_prime)
    assert not path.exists()
    with monkeypatch.context() as patch:
        patch.setattr(invariants, "_check", lambda path, values: None)
        invariants.write(path, keys, H_prime)
    with pytest.raises(UserError, match="invariants: a value of H' is not finite"):
        invariants.read(path)


@pytest.mark.parametrize("conditions", [[], ["avt"]], ids=["none", "the full input"])
def test_predictions_in_none_of_the_six_conditions_are_refused(tmp_path, conditions):
    table = pd.DataFrame(
        {"utterance_id": "x", "condition": conditions, "label": 0, "predicted": 0, "logit_k": np.float32(0)}
    ).astype({"utterance_id": object, "condition": object, "label": int, "predicted": int})

    with pytest.raises(UserError, match="has no predictions in any of the six conditions"):
        predictions.write(tmp_path / "p", table, ["k"], {})


@each_bad
def test_aggregate_refuses_a_nonfinite_logit_and_writes_no_table(stages, pack_of, monkeypatch, value):
    """One system has predictions that evaluate would refuse to write."""
    run = stages().corpus(pack_of())
    rows = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["rows"]
    classes = [f"class {k}" for k in range(4)]
    table = pd.DataFrame(
        [(f"u{k}", c, k, k, *np.eye(4, dtype=np.float32)[k]) for c in CONDITIONS for k in range(4)],
        columns=["utterance_id", "condition", "label", "predicted", *(f"logit_{name}" for name in classes)],
    )
    table = table.astype({f"logit_{name}": np.float32 for name in classes})
    run_on = {"device": "cpu", "precision": "float32"}
    made_on = {"trained": run_on, "evaluated": run_on, "pretrained": None, "collapsed": []}
    for name in rows:
        predictions.write(run.path("predictions", name) / f"{FOLD}-{SEED}.parquet", table, classes, made_on)
    out = {"features": run.folder / "features", "folds": run.folder / "folds"}
    out |= {"params": run.folder / "params.yaml", "predictions": run.folder / "predictions"}
    out |= {"paper": ROOT / "reference" / "paper_table1.csv"}
    kinds = ("scores", "json", "csv", "significance", "comparison", "confusion", "recalls", "runs")
    out |= {
        name: run.folder / "tables" / name for name in (*kinds, "summary", "by_system", "markdown", "latex")
    }
    run("aggregate", **out)
    shutil.rmtree(run.folder / "tables")

    with monkeypatch.context() as patch:
        patch.setattr(predictions, "_checked", lambda path, table, classes: table)
        bad = table.assign(**{"logit_class 3": np.float32(value)})
        path = run.path("predictions", rows[-1]) / f"{FOLD}-{SEED}.parquet"
        predictions.write(path, bad, classes, made_on)
    with pytest.raises(UserError) as refused:
        run("aggregate", **out)

    assert f"{FOLD}-{SEED}.parquet: 24 invalid values in 24 rows" in message(refused)
    assert "in column logit_class 3" in message(refused)
    assert not (run.folder / "tables").exists()
