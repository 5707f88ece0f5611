"""Curves against the missing rate."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifmmin.core.terms import CONDITIONS, FULL
from ifmmin.results import robustness


@given(st.integers(1, 200), st.floats(0, 1), st.integers(0, 99))
def test_the_missing_rate_is_exact_and_every_utterance_keeps_a_modality(n, rate, seed):
    conditions = robustness.draw_conditions(n, rate, seed)

    assert set(conditions) <= {*CONDITIONS, FULL}
    assert sum(3 - len(c) for c in conditions) == min(round(3 * n * rate), 2 * n)


@given(st.integers(1, 50), st.integers(0, 99))
def test_modalities_missing_at_a_low_rate_are_missing_at_a_higher_one(n, seed):
    small, large = (robustness.draw_conditions(n, rate, seed) for rate in (0.2, 0.6))

    assert all(set(more) <= set(less) for more, less in zip(large, small, strict=True))


def test_modalities_are_dropped_equally_often():
    kept = robustness.draw_conditions(6000, 0.7, seed=1)

    np.testing.assert_allclose([np.mean(kept == m) for m in "avt"], 1 / 3, atol=0.03)


def predictions(n=3, full=True):
    """Predictions for n utterances of class 0: correct if v is available."""
    conditions = [*CONDITIONS, *([FULL] if full else [])]
    rows = [(f"u{i}", c, 0, 0 if "v" in c else 1) for c in conditions for i in range(n)]
    table = pd.DataFrame(rows, columns=["utterance_id", "condition", "label", "predicted"])
    return table.assign(logit_x=1.0 - table["predicted"], logit_y=0.0 + table["predicted"])


def test_an_utterance_is_scored_in_the_condition_drawn_for_it():
    n, seed = 200, 3
    table = robustness.scores({("s", 1, seed): predictions(n)}, {("s", 1, seed): {0.5: predictions(n)}}, 2)
    mixed = table[table["missing"] == "modalities"].set_index("missing_rate")

    assert mixed.loc[0.0, "wa"] == 1
    assert mixed.loc[0.5, "wa"] == pytest.approx(
        np.mean(["v" in c for c in robustness.draw_conditions(n, 0.5, seed)])
    )
    assert set(mixed["condition"]) == {"mixed"}


def test_missing_frames_are_scored_by_condition_and_on_average():
    table = robustness.scores({("s", 1, 0): predictions()}, {("s", 1, 0): {0.7: predictions()}}, 2)
    frames = table[(table["missing"] == "frames") & (table["missing_rate"] == 0.7)].set_index("condition")

    assert frames["wa"].to_dict() == {
        **{c: float("v" in c) for c in CONDITIONS},
        FULL: 1.0,
        "average": pytest.approx(0.5),
    }


def test_without_full_input_predictions_the_pairs_are_averaged():
    """Two of the three pairs have v and predict class 0."""
    completed = robustness.completed(predictions(full=False))
    added = completed[completed["condition"] == FULL]
    p = np.exp(added[["logit_x", "logit_y"]].to_numpy())
    e = np.e

    assert list(added["utterance_id"]) == ["u0", "u1", "u2"]
    assert set(added["predicted"]) == {0}
    np.testing.assert_allclose(p, [[(2 * e + 1) / (3 * e + 3), (e + 2) / (3 * e + 3)]] * 3, rtol=1e-6)
    pd.testing.assert_frame_equal(robustness.completed(predictions()), predictions())


def test_curves_average_folds_within_a_seed_and_then_seeds():
    rows = [("s", 1, 0, 0.2), ("s", 2, 0, 0.4), ("s", 1, 1, 0.9)]
    scores = pd.DataFrame(rows, columns=["system", "fold", "seed", "wa"])
    scores = scores.assign(ua=scores["wa"], missing="frames", condition="a", missing_rate=0.1)

    [line] = robustness.curves(scores).to_dict("records")

    assert line["wa"] == pytest.approx((0.3 + 0.9) / 2)
    assert line["wa_std"] == pytest.approx(np.std([0.2, 0.4, 0.9], ddof=1))
    assert (line["n_folds"], line["n_seeds"]) == (2, 2)
