"""Differences between two experiments, against hand calculations and scipy."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ifmmin.core.errors import UserError
from ifmmin.results import experiment_diff

SIX = ["a", "v", "t", "av", "at", "vt"]


def predictions(labels, right, name="u"):
    """Predictions that are right or wrong alike in the six conditions, and always right in avt."""
    rows = [
        (f"{name}{i}", c, label, label if ok or c == "avt" else 1 - label)
        for c in (*SIX, "avt")
        for i, (label, ok) in enumerate(zip(labels, right, strict=True))
    ]
    return pd.DataFrame(rows, columns=["utterance_id", "condition", "label", "predicted"])


def roles(fold, n_train=6):
    """A test utterance unique to the fold, a validation utterance and n_train training utterances."""
    rows = [
        (f"fold {fold}", "test"),
        ("v", "validation"),
        *((f"{fold} t{n}", "train") for n in range(n_train)),
    ]
    return pd.DataFrame(rows, columns=["utterance_id", "role"])


def line(table, system="x", condition="a", metric="wa"):
    keys = (table["system"] == system) & (table["condition"] == condition) & (table["metric"] == metric)
    [row] = table[keys].to_dict("records")
    return row


def test_means_difference_and_interval_of_one_fold():
    """Class 0 has two utterances and gains one; class 1 has one utterance and loses it.

    Two draws from the gains 1 and 0 sum to 0, 1 or 2 with probability 1/4, 1/2, 1/4: the 95 % interval is
    0 to 2. WA: (0 - 1) / 3 to (2 - 1) / 3; UA: (0 / 2 - 1) / 2 to (2 / 2 - 1) / 2.
    """
    before, after = predictions([0, 0, 1], [0, 1, 1]), predictions([0, 0, 1], [1, 1, 0])

    table = experiment_diff.compared({("x", 1, 0): before}, {("x", 1, 0): after}, {1: roles(1)}, 2)

    assert len(table) == 14
    for condition in ("average", *SIX):
        wa, ua = (line(table, condition=condition, metric=m) for m in ("wa", "ua"))
        assert [wa["reference"], wa["other"], wa["difference"]] == pytest.approx([2 / 3, 2 / 3, 0])
        assert [ua["reference"], ua["other"], ua["difference"]] == pytest.approx([3 / 4, 1 / 2, -1 / 4])
        assert [wa["low"], wa["high"]] == pytest.approx([-1 / 3, 1 / 3])
        assert [ua["low"], ua["high"]] == pytest.approx([-1 / 2, 0])
        assert math.isnan(wa["p"])
        assert "1 fold, 1 seed: too few" in wa["note"]


def test_the_interval_of_one_class_matches_the_bootstrap_of_scipy():
    """200 utterances. Both draw at random, so the limits agree to a fifth of the width."""
    draw = np.random.default_rng(1)
    before, after = (draw.random(200) < p for p in (0.5, 0.6))

    low, high = experiment_diff.resampled(
        {("x", 1, 0): (predictions([0] * 200, before), predictions([0] * 200, after))}, 1
    )

    gains = after.astype(float) - before
    reference = stats.bootstrap(
        (gains,), np.mean, method="percentile", n_resamples=4096, rng=np.random.default_rng(2)
    ).confidence_interval
    width = reference.high - reference.low
    assert 0.05 < width < 0.25
    np.testing.assert_allclose(low, np.full((7, 2), reference.low), atol=width / 5)
    np.testing.assert_allclose(high, np.full((7, 2), reference.high), atol=width / 5)


def test_the_average_resamples_the_same_utterances_in_all_conditions():
    """Each utterance gained in {a} is lost in {v}, so the average cannot change."""
    before = predictions([0] * 20, [1, 0] * 10)
    after = before.copy()
    a, v = (after["condition"] == c for c in "av")
    after.loc[a, "predicted"], after.loc[v, "predicted"] = [0] * 20, [1] * 20
    before.loc[a, "predicted"], before.loc[v, "predicted"] = [1] * 20, [0] * 20

    low, high = experiment_diff.resampled({("x", 1, 0): (before, after)}, 1)

    np.testing.assert_allclose([low[0], high[0]], 0, atol=1e-15)
    np.testing.assert_allclose([low[1], high[1]], 1)
    np.testing.assert_allclose([low[2], high[2]], -1)


def test_the_interval_shrinks_with_the_root_of_the_number_of_folds():
    draw = np.random.default_rng(3)
    runs = {
        ("x", fold, 0): tuple(predictions([0] * 100, draw.random(100) < 0.5, f"{fold}_") for _ in range(2))
        for fold in range(1, 10)
    }

    single, nine = (
        experiment_diff.resampled({key: runs[key] for key in keys}, 1) for keys in ([("x", 1, 0)], list(runs))
    )

    assert (nine[1] - nine[0])[1, 0] == pytest.approx((single[1] - single[0])[1, 0] / 3, rel=0.25)


def test_the_interval_covers_the_spread_over_seeds():
    """Two networks that gain 1 and 0 everywhere: a resample of two seeds has mean gain 0, 1/2 or 1."""
    before = predictions([0] * 5, [0] * 5)
    pair = {("x", 1, seed): (before, predictions([0] * 5, [seed] * 5)) for seed in (0, 1)}

    low, high = experiment_diff.resampled(pair, 1)
    table = experiment_diff.compared(
        *({key: t[i] for key, t in pair.items()} for i in (0, 1)), {1: roles(1)}, 1
    )

    np.testing.assert_allclose(low, 0, atol=1e-15)
    np.testing.assert_allclose(high, 1)
    np.testing.assert_allclose(table["seed_std"], math.sqrt(0.5))


def test_only_folds_with_all_seeds_have_a_std_over_seeds():
    """Fold 2 has one seed and another difference, which is no spread over seeds."""
    nothing, all_ = predictions([0] * 4, [0] * 4), predictions([0] * 4, [1] * 4)
    before = {("x", 1, 0): nothing, ("x", 1, 1): nothing, ("x", 2, 0): nothing}
    after = before | {("x", 2, 0): all_}

    table = experiment_diff.compared(before, after, {1: roles(1), 2: roles(2)}, 1)

    assert set(table["seed_std"]) == {0.0}


def test_one_seed_has_no_std_over_seeds():
    run = {("x", 1, 0): predictions([0, 1], [1, 0])}

    assert experiment_diff.compared(run, run, {1: roles(1)}, 2)["seed_std"].isna().all()


def test_folds_with_the_same_test_utterances_count_once():
    draw = np.random.default_rng(4)
    tables = tuple(predictions([0, 1] * 50, draw.random(100) < 0.5) for _ in range(2))

    single, five = (
        experiment_diff.resampled({("x", fold, 0): tables for fold in range(n)}, 2) for n in (1, 5)
    )

    np.testing.assert_allclose(five, single, atol=1e-12)


def test_the_significance_test_over_folds_is_that_of_table_1():
    """Differences 0.1, 0.2, 0.3: 0.2 +- t 0.1 sqrt(1/3 + 1/6), t = 4.302653 (2 degrees of freedom)."""
    gained = {1: 1, 2: 2, 3: 3}
    before = {("x", fold, 0): predictions([0] * 10, [0] * 10) for fold in gained}
    after = {("x", fold, 0): predictions([0] * 10, [1] * n + [0] * (10 - n)) for fold, n in gained.items()}

    table = experiment_diff.compared(before, after, {fold: roles(fold) for fold in gained}, 2)

    row = line(table)
    half = 4.302653 * 0.1 * math.sqrt(1 / 3 + 1 / 6)
    assert [row["ci_low"], row["ci_high"]] == pytest.approx([0.2 - half, 0.2 + half], abs=1e-6)
    assert row["n_folds"] == 3
    assert row["p"] > 0
    assert math.isnan(row["p_holm"])
    primary = line(table, condition="average", metric="ua")
    assert primary["p_holm"] == primary["p"]


def test_equal_predictions_have_zero_difference_and_interval():
    run = {("x", 1, 0): predictions([0, 1, 1], [1, 0, 1])}

    table = experiment_diff.compared(run, run, {1: roles(1)}, 2)

    assert not table[["difference", "low", "high"]].any(axis=None)


def test_only_runs_of_both_experiments_are_compared():
    run = predictions([0, 1], [1, 0])
    before = {("x", 1, 0): run, ("x", 2, 0): run, ("y", 1, 0): run}
    after = {("x", 1, 0): run, ("z", 1, 0): run}

    table = experiment_diff.compared(before, after, {1: roles(1), 2: roles(2)}, 2)

    assert set(table["system"]) == {"x"}
    assert set(table["n_folds"]) == {1}
    with pytest.raises(UserError, match="no run in common"):
        experiment_diff.compared(before, {("z", 1, 0): run}, {1: roles(1)}, 2)


def test_runs_with_different_test_utterances_are_refused():
    before, after = predictions([0, 1], [1, 0]), predictions([0, 1, 1], [1, 0, 1])

    with pytest.raises(UserError, match="x, fold 1, seed 0: 1 test utterances or their labels differ"):
        experiment_diff.compared({("x", 1, 0): before}, {("x", 1, 0): after}, {1: roles(1)}, 2)


def test_changed_keys_have_both_values():
    assert experiment_diff.changed({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": 5}) == {
        "b": (2, 4),
        "c": (3, None),
        "d": (None, 5),
    }
