"""Temperature scaling: calibrated probabilities from logits. No I/O.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ifmmin.core.terms import logit_columns

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 100.0
"""Search range of the temperature. If no finite temperature is optimal, the result is one of these limits."""


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


def fit(predictions: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Fit a temperature for each condition on predictions of the validation utterances.

    Args:
        predictions: condition, label, and logit_<class> for each class.

    Returns:
        Condition to {"temperature"}.
    """
    grouped = by_condition(predictions).items()
    return {c: {"temperature": temperature(logits, y)} for c, (logits, y) in grouped}


def by_condition(predictions: pd.DataFrame) -> dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Logits (N, classes) and labels (N,) of each condition."""
    return {
        str(c): (part[logit_columns(part.columns)].to_numpy(np.float64), part["label"].to_numpy(np.int64))
        for c, part in predictions.groupby("condition", sort=False)
    }
