"""Temperature scaling: calibrated probabilities from logits. No I/O.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ifmmin.core.terms import logit_columns

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 100.0
"""Search range of the temperature. If no finite temperature is optimal, the result is one of these limits."""
BINS = 15
"""Number of bins of the expected calibration error."""


def probabilities(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Softmax of logits (N, classes), divided by the temperature, along the classes."""
    z = np.asarray(logits, np.float64) / temperature
    e = np.exp(z - z.max(1, keepdims=True))
    p: NDArray[np.float64] = e / e.sum(1, keepdims=True)
    return p


def temperature(logits: ArrayLike, y: ArrayLike) -> float:
    """Find the temperature with the smallest cross entropy. It does not change any predicted class.

    The cross entropy is convex in 1/T, so a bisection on the sign of its derivative finds the minimum.

    Args:
        logits: (N, classes).
        y: (N,) int, target class indices.
    """
    z, rows = np.asarray(logits, np.float64), np.arange(len(np.asarray(y)))
    target = z[rows, np.asarray(y)]
    low, high = np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)
    while high - low > 1e-9:
        middle = (low + high) / 2
        expected = (probabilities(z, np.exp(middle)) * z).sum(1)
        if (expected - target).mean() > 0:  # derivative with respect to 1/T: overconfident
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


def ece(p: ArrayLike, y: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error, in [0, 1].

    The weighted mean of |accuracy - confidence| over bins of the predicted class's probability, weighted by
    the number of utterances. Bins have equal width: (k/bins, (k+1)/bins].

    Args:
        p: (N, classes) probabilities.
        y: (N,) int, target class indices.
        bins: number of bins.
    """
    values = np.asarray(p, np.float64)
    confidence, correct = values.max(1), values.argmax(1) == np.asarray(y)
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(values))


def measure(predictions: pd.DataFrame, temperatures: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Measure the expected calibration error of each condition, before and after temperature scaling.

    Args:
        predictions: condition, label, and logit_<class> for each class.
        temperatures: temperature of each condition in the predictions.

    Returns:
        Condition to {"temperature", "ece_before", "ece_after"}.
    """
    errors = {}
    for c, (logits, y) in _by_condition(predictions).items():
        before, after = (ece(probabilities(logits, T), y) for T in (1.0, temperatures[c]))
        errors[c] = {"temperature": temperatures[c], "ece_before": before, "ece_after": after}
    return errors


def fit(predictions: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Fit a temperature for each condition on predictions of the validation utterances.

    Args and returns: as in `measure`; the calibration errors are those of the same predictions.
    """
    best = {c: temperature(logits, y) for c, (logits, y) in _by_condition(predictions).items()}
    return measure(predictions, best)


def _by_condition(predictions: pd.DataFrame) -> dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Logits (N, classes) and labels (N,) of each condition."""
    return {
        str(c): (part[logit_columns(part.columns)].to_numpy(np.float64), part["label"].to_numpy(np.int64))
        for c, part in predictions.groupby("condition", sort=False)
    }
