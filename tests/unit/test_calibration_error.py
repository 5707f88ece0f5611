"""Expected calibration error."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from ifmmin.evaluation import calibration_error


def test_the_expected_calibration_error_matches_a_hand_calculation():
    """Two bins are used: confidence 0.65 with accuracy 1/2, and confidence 0.9 with accuracy 1."""
    p = [[0.65, 0.35], [0.65, 0.35], [0.9, 0.1], [0.1, 0.9]]
    y = [0, 1, 0, 1]

    assert calibration_error.ece(p, y, bins=15) == pytest.approx(0.5 * abs(0.5 - 0.65) + 0.5 * abs(1 - 0.9))


def test_an_edge_belongs_to_the_bin_below_it():
    """With two bins, 0.5 is in the first and 0.9 in the second; with one bin, both are averaged."""
    p, y = [[0.5, 0.5], [0.9, 0.1]], [1, 0]

    assert calibration_error.ece(p, y, bins=2) == pytest.approx((0.5 + 0.1) / 2)
    assert calibration_error.ece(p, y, bins=1) == pytest.approx(abs(0.5 - 0.7))


def test_float32_probabilities_are_binned_as_float64():
    """The float32 nearest to 0.2 is above 3/15: it shares the fourth of 15 bins with 0.25."""
    p = np.array([[0.2, 0.2, 0.2, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25, 0]], np.float32)

    assert calibration_error.ece(p, [0, 1], bins=15) == pytest.approx(abs((1 - 0.2) + (0 - 0.25)) / 2)


def test_ece_before_uses_plain_softmax_and_ece_after_the_temperature():
    y = np.arange(40) % 4
    z = np.random.default_rng(0).normal(0, 3, (40, 4))
    table = pd.DataFrame({"condition": "a", "label": y, **{f"logit_{k}": z[:, k] for k in range(4)}})

    measured = calibration_error.measure(table, {"a": 3.0}, bins=7)["a"]

    assert measured["temperature"] == 3.0
    assert measured["ece_before"] == pytest.approx(calibration_error.ece(softmax(z, axis=1), y, bins=7))
    assert measured["ece_after"] == pytest.approx(calibration_error.ece(softmax(z / 3, axis=1), y, bins=7))
