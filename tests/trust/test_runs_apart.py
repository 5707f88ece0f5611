"""Files are used only for their own system, fold and seed; random streams differ between folds."""

import shutil

import pytest
import torch
import yaml

from ifmmin.core.errors import UserError
from ifmmin.training import histories, loop, weights
from trust import conftest, small

ABLATIONS = {"if_mmin_no_inv": "if_mmin", "if_mmin_no_cascade": "if_mmin", "mmin_no_cycle": "mmin"}


@pytest.fixture
def both_folds(stages, pack_of, monkeypatch):
    """Return a function that trains in folds 1 and 2, which have the same training speakers."""

    def train_both(name, seed=0):
        monkeypatch.setattr(conftest, "SEED", seed)
        run = stages(f"{name}-{seed}").corpus(pack_of())
        params = yaml.safe_load((run.folder / "params.yaml").read_text("utf-8"))
        (run.folder / "params.yaml").write_text(yaml.safe_dump({**params, "folds": [1, 2]}))
        run(
            "split",
            params=run.folder / "params.yaml",
            features=run.folder / "features",
            out=run.folder / "folds",
        )
        for fold in (1, 2):
            monkeypatch.setattr(conftest, "FOLD", fold)
            run.make(name)
            run.path(name, "history.csv").rename(run.path(name, f"{fold}.csv"))
        return run

    return train_both


def losses(run, name, fold):
    return histories.read(run.path(name, f"{fold}.csv"))["L"].tolist()


@pytest.mark.parametrize("name", ["invariant", "fusion", "late_fusion_floor", "mctn"])
def test_two_folds_of_a_session_have_different_random_streams(both_folds, name):
    """They train on the same utterances, so equal streams would give equal losses."""
    run = both_folds(name)

    assert losses(run, name, 1) != losses(run, name, 2)


def test_all_systems_of_a_fold_and_seed_use_the_same_masks_and_order(stages, pack_of, monkeypatch):
    drawn = {}

    def recorded(draw, kind):
        def record(*args):
            result = draw(*args)
            result = list(result) if kind == "order" else result
            drawn.setdefault((system, kind), []).append(result)
            return result

        return record

    for kind, function in (("masks", "draw_masks"), ("order", "draw_batches")):
        monkeypatch.setattr(loop, function, recorded(getattr(loop, function), kind))
    run = stages().corpus(pack_of())
    for kind in small.PRETRAININGS:
        system = kind
        run.pretrain(kind)
    for system in small.SYSTEMS:
        run.train(system)

    for system in small.SYSTEMS:
        for kind in ("masks", "order"):
            expected = [x for epoch in drawn["if_mmin", kind] for x in epoch]
            actual = [x for epoch in drawn[system, kind] for x in epoch]
            assert all(torch.equal(a, b) for a, b in zip(actual, expected, strict=True)), (system, kind)


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_a_model_with_fitting_weights_is_refused_under_another_name(stages, pack_of, ablation):
    run = stages().corpus(pack_of()).make(ABLATIONS[ablation])
    run.path(ablation, "").mkdir()
    shutil.copy(run.path(ABLATIONS[ablation], "weights"), run.path(ablation, "weights"))

    with pytest.raises(
        UserError, match=rf"holds system '{ABLATIONS[ablation]}'; expected system '{ablation}'"
    ):
        run.evaluate(ablation)
    assert not run.path(ablation, "predictions").exists()


@pytest.mark.parametrize(("fact", "value"), [("fold", 2), ("seed", 7), ("kind", "invariant")])
def test_encoders_and_models_of_another_fold_kind_or_seed_are_refused(stages, pack_of, fact, value):
    """A model of another fold was trained on this fold's test or validation speaker."""
    run = stages().corpus(pack_of()).make("mmin")
    for name, use in (("fusion", run.train), ("mmin", run.evaluate)):
        tensors, header = weights.read(run.path(name, "weights"))
        weights.write(run.path(name, "weights"), tensors, {**header, fact: value})
        if (name, fact) in (("fusion", "seed"), ("mmin", "kind")):
            continue
        with pytest.raises(UserError, match=f"holds {fact} {value!r}; expected {fact}"):
            use("mmin")


def test_predictions_of_another_system_are_refused_by_robustness(stages, pack_of, tmp_path):
    run = stages().corpus(pack_of()).make("mmin")
    run.evaluate("mmin")
    params = yaml.safe_load((run.folder / "params.yaml").read_text("utf-8"))
    params["rows"] = ["mmin_no_cycle"]
    (run.folder / "params.yaml").write_text(yaml.safe_dump(params))
    for kind in ("predictions", "missing_frames"):
        path = run.folder / kind / "mmin_no_cycle" / "1-0.parquet"
        path.parent.mkdir(parents=True)
        shutil.copy(run.path("mmin", kind), path)

    with pytest.raises(UserError, match="holds system 'mmin'; expected system 'mmin_no_cycle'"):
        run(
            "robustness",
            **{name: run.folder / name for name in ("features", "predictions", "missing_frames")},
            params=run.folder / "params.yaml",
            csv=tmp_path / "r.csv",
            figure=tmp_path / "r.png",
        )
