"""Temperature and expected calibration error."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from ifmmin.training import calibration


def sure(n, temperature, seed=0, classes=4):
    """Logits that are right as often as softmax says, made too sure by a temperature below 1."""
    generator = np.random.default_rng(seed)
    z = generator.normal(0, 1.5, (n, classes))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    y = np.array([generator.choice(classes, p=row) for row in p])
    return z / temperature, y


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_made_logits_too_sure_is_found(temperature):
    z, y = sure(20000, temperature)

    assert calibration.temperature(z, y) == pytest.approx(1 / temperature, rel=0.05)


@given(st.integers(0, 1000), st.integers(2, 6))
def test_it_is_the_minimum_that_scipy_finds(seed, classes):
    z, y = sure(60, 0.5, seed, classes)

    def cross_entropy(log):
        return -np.log(calibration.probabilities(z, np.exp(log))[np.arange(len(y)), y]).mean()

    found = np.log(calibration.temperature(z, y))
    ends = np.log([calibration.MIN_TEMPERATURE, calibration.MAX_TEMPERATURE])
    best = minimize_scalar(cross_entropy, bounds=ends, method="bounded", options={"xatol": 1e-10})

    assert cross_entropy(found) <= best.fun + 1e-9


def test_where_every_answer_is_right_it_stays_finite():
    z, y = np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 0])

    assert calibration.temperature(z, y) == pytest.approx(calibration.MIN_TEMPERATURE)
    assert calibration.temperature(z, (y + 1) % 3) == pytest.approx(calibration.MAX_TEMPERATURE)


def test_probabilities_of_large_logits_are_finite_and_sum_to_one():
    p = calibration.probabilities([[1e4, 0.0], [-1e4, -1e4]], 0.5)

    np.testing.assert_allclose(p, [[1, 0], [0.5, 0.5]])


def test_the_expected_calibration_error_by_hand():
    """Two bins hold something: at 0.65 one is right and one is wrong, at 0.9 two are right."""
    p = [[0.65, 0.35], [0.65, 0.35], [0.9, 0.1], [0.1, 0.9]]
    y = [0, 1, 0, 1]

    assert calibration.ece(p, y) == pytest.approx(0.5 * abs(0.5 - 0.65) + 0.5 * abs(1 - 0.9))


def test_where_every_answer_is_wrong_it_stays_at_a_hundred():
    """The best would be infinite: equal probabilities."""
    assert calibration.temperature([[1, 0], [0, 1]], [1, 0]) == pytest.approx(100)


def test_unless_stated_the_temperature_is_one():
    """1 and 3 of 4."""
    np.testing.assert_allclose(calibration.probabilities([[0, np.log(3)]]), [[0.25, 0.75]])


def test_there_are_fifteen_bins():
    """0.61 and 0.64 lie in (9/15, 10/15], and on two sides of 10/16; one is right: |1 - 0.61 - 0.64| / 2."""
    p = [[0.61, 0.39], [0.64, 0.36]]

    assert calibration.ece(p, [0, 1]) == pytest.approx(0.125)


def test_an_edge_belongs_to_the_bin_below_it():
    """With two bins 0.5 and 0.9 lie apart; with one they are averaged."""
    p, y = [[0.5, 0.5], [0.9, 0.1]], [1, 0]

    assert calibration.ece(p, y, bins=2) == pytest.approx((0.5 + 0.1) / 2)
    assert calibration.ece(p, y, bins=1) == pytest.approx(abs(0.5 - 0.7))


def tables(temperatures):
    parts = []
    for condition, temperature in temperatures.items():
        z, y = sure(4000, temperature)
        columns = {f"logit_{k}": z[:, k] for k in range(z.shape[1])}
        parts.append(pd.DataFrame({"condition": condition, "label": y, **columns}))
    return pd.concat(parts, ignore_index=True)


def test_each_condition_has_its_own_temperature_in_the_order_given():
    found = calibration.fit(tables({"v": 0.25, "avt": 2.0}))

    assert list(found) == ["v", "avt"]
    assert found["v"]["temperature"] == pytest.approx(4, rel=0.1)
    assert found["avt"]["temperature"] == pytest.approx(0.5, rel=0.1)
    assert all(of["ece_after"] < of["ece_before"] / 2 for of in found.values())


def test_the_error_before_is_that_of_plain_softmax_and_after_that_of_the_temperature():
    table = tables({"a": 0.25})
    z, y = table.filter(like="logit_").to_numpy(), table["label"]

    found = calibration.measure(table, {"a": 3.0})["a"]

    assert found["temperature"] == 3.0
    assert found["ece_before"] == pytest.approx(calibration.ece(softmax(z, axis=1), y))
    assert found["ece_after"] == pytest.approx(calibration.ece(softmax(z / 3, axis=1), y))
