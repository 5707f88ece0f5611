"""Curves against the missing rate."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifmmin.core.terms import CONDITIONS, FULL
from ifmmin.results import robustness


@given(st.floats(0, 1))
def test_the_expected_missing_rate_is_the_given_one_up_to_two_thirds(rate):
    p = robustness.probabilities_of_conditions(rate)

    assert set(p) == {*CONDITIONS, FULL}
    assert sum(p.values()) == pytest.approx(1)
    assert sum(p[c] * (3 - len(c)) / 3 for c in p) == pytest.approx(min(rate, 2 / 3))


def test_the_probabilities_of_the_conditions_are_those_of_drawn_masks():
    """Keep one of three modalities, drop each other with probability 1.5 x 0.4; 300,000 draws."""
    draw = np.random.default_rng(0)
    kept = np.eye(3, dtype=bool)[draw.integers(3, size=300_000)]
    available = kept | (draw.random(kept.shape) >= 0.6)
    drawn = {c: (available == [m in c for m in "avt"]).all(1).mean() for c in (*CONDITIONS, FULL)}

    assert drawn == pytest.approx(robustness.probabilities_of_conditions(0.4), abs=0.004)


def predictions(n=3, full=True):
    """Predictions for n utterances of class 0: correct if v is available."""
    conditions = [*CONDITIONS, *([FULL] if full else [])]
    rows = [(f"u{i}", c, 0, 0 if "v" in c else 1) for c in conditions for i in range(n)]
    table = pd.DataFrame(rows, columns=["utterance_id", "condition", "label", "predicted"])
    return table.assign(logit_x=1.0 - table["predicted"], logit_y=0.0 + table["predicted"])


def test_missing_modalities_have_the_expected_score():
    """At rate 0.4: q = 0.6; v is in {v}: 0.36 / 3, in two pairs: 2 x 0.48 / 3, in the full input: 0.16."""
    table = robustness.scores({("s", 1, 0): predictions()}, {("s", 1, 0): {0.4: predictions()}}, 2)
    mixed = table[table["missing"] == "modalities"].set_index("missing_rate")

    assert mixed.loc[0.0, "wa"] == 1
    assert mixed.loc[0.4, "wa"] == pytest.approx(0.12 + 0.32 + 0.16)
    assert mixed.loc[0.4, "ua"] == pytest.approx((0.12 + 0.32 + 0.16) / 2)
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
