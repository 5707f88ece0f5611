"""Temperature scaling."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from ifmmin.training import calibration


def miscalibrated(n, temperature, seed=0, classes=4):
    """Calibrated logits, divided by a temperature."""
    generator = np.random.default_rng(seed)
    z = generator.normal(0, 1.5, (n, classes))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    y = np.array([generator.choice(classes, p=row) for row in p])
    return z / temperature, y


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_of_miscalibrated_logits_is_recovered(temperature):
    z, y = miscalibrated(20000, temperature)

    assert calibration.temperature(z, y) == pytest.approx(1 / temperature, rel=0.05)


@given(st.integers(0, 1000), st.integers(2, 6))
def test_the_cross_entropy_is_at_least_as_low_as_scipy_s_minimum(seed, classes):
    z, y = miscalibrated(60, 0.5, seed, classes)

    def cross_entropy(log_t):
        return -np.log(calibration.probabilities(z, np.exp(log_t))[np.arange(len(y)), y]).mean()

    log_t = np.log(calibration.temperature(z, y))
    bounds = np.log([calibration.MIN_TEMPERATURE, calibration.MAX_TEMPERATURE])
    best = minimize_scalar(cross_entropy, bounds=bounds, method="bounded", options={"xatol": 1e-10})

    assert cross_entropy(log_t) <= best.fun + 1e-9


def test_without_a_finite_optimum_the_temperature_is_a_limit():
    z, y = np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 0])

    assert calibration.temperature(z, y) == pytest.approx(calibration.MIN_TEMPERATURE)
    assert calibration.temperature(z, (y + 1) % 3) == pytest.approx(calibration.MAX_TEMPERATURE)


def test_probabilities_of_large_logits_are_finite_and_sum_to_one():
    p = calibration.probabilities([[1e4, 0.0], [-1e4, -1e4]], 0.5)

    np.testing.assert_allclose(p, [[1, 0], [0.5, 0.5]])


def test_probabilities_of_float32_logits_are_float64():
    assert calibration.probabilities(np.zeros((1, 2), np.float32)).dtype == np.float64


def test_the_largest_temperature_is_100():
    """All predictions are wrong, so the optimum (equal probabilities) is infinite."""
    assert calibration.temperature([[1, 0], [0, 1]], [1, 0]) == pytest.approx(100)


def test_the_default_temperature_is_1():
    np.testing.assert_allclose(calibration.probabilities([[0, np.log(3)]]), [[0.25, 0.75]])


def predictions(temperatures):
    parts = []
    for condition, temperature in temperatures.items():
        z, y = miscalibrated(4000, temperature)
        columns = {f"logit_{k}": z[:, k] for k in range(z.shape[1])}
        parts.append(pd.DataFrame({"condition": condition, "label": y, **columns}))
    return pd.concat(parts, ignore_index=True)


def test_logits_of_a_condition_are_float64_and_labels_int64():
    table = predictions({"a": 1.0}).astype({"label": np.int8, "logit_0": np.float32, "logit_1": np.float32})
    table = table.drop(columns=["logit_2", "logit_3"])

    [(condition, (logits, y))] = calibration.by_condition(table).items()

    assert (condition, logits.dtype, y.dtype) == ("a", np.float64, np.int64)


def test_each_condition_gets_its_own_temperature_in_input_order():
    fitted = calibration.fit(predictions({"v": 0.25, "avt": 2.0}))

    assert list(fitted) == ["v", "avt"]
    assert fitted["v"]["temperature"] == pytest.approx(4, rel=0.1)
    assert fitted["avt"]["temperature"] == pytest.approx(0.5, rel=0.1)
