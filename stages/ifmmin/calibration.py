"""Temperature scaling: logits to probabilities that mean what they say. Pure.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ifmmin.terms import logit_columns

COLDEST, HOTTEST = 0.01, 100.0
"""Between which the temperature is sought; it stays at an end where no finite one is best."""
BINS = 15
"""Of the expected calibration error."""


def probabilities(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Softmax of logits (N, classes) divided by the temperature."""
    z = np.asarray(logits, np.float64) / temperature
    e = np.exp(z - z.max(1, keepdims=True))
    p: NDArray[np.float64] = e / e.sum(1, keepdims=True)
    return p


def temperature(logits: ArrayLike, y: ArrayLike) -> float:
    """Find the temperature with the smallest cross entropy; no prediction changes by it.

    The cross entropy is convex in 1/T, so the sign of its slope tells on which side the best one lies.

    Args:
        logits: (N, classes).
        y: (N,) int, target classes.
    """
    z, rows = np.asarray(logits, np.float64), np.arange(len(np.asarray(y)))
    target = z[rows, np.asarray(y)]
    low, high = np.log(COLDEST), np.log(HOTTEST)
    while high - low > 1e-9:
        middle = (low + high) / 2
        expected = (probabilities(z, np.exp(middle)) * z).sum(1)
        if (expected - target).mean() > 0:  # slope over 1/T: too sure
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


def ece(p: ArrayLike, y: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error, in [0, 1].

    The mean over the utterances of |accuracy - confidence| of their bin; bins of equal width (k/bins,
    (k+1)/bins] over the probability of the predicted class.

    Args:
        p: (N, classes), probabilities.
        y: (N,) int, target classes.
        bins: how many.
    """
    of = np.asarray(p, np.float64)
    confidence, right = of.max(1), of.argmax(1) == np.asarray(y)
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(which, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(of))


def measured(predictions: pd.DataFrame, temperatures: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Measure the expected calibration error in each condition, before and after a temperature.

    Args:
        predictions: condition, label, logit_<class> of each class.
        temperatures: of each condition that is there.

    Returns:
        Condition to temperature, ece_before and ece_after.
    """
    found = {}
    for c, (logits, y) in _by_condition(predictions).items():
        before, after = (ece(probabilities(logits, at), y) for at in (1.0, temperatures[c]))
        found[c] = {"temperature": temperatures[c], "ece_before": before, "ece_after": after}
    return found


def fitted(validated: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Fit a temperature for each condition on the validation utterances; as `measured`, on these."""
    best = {c: temperature(logits, y) for c, (logits, y) in _by_condition(validated).items()}
    return measured(validated, best)


def _by_condition(predictions: pd.DataFrame) -> dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Logits (N, classes) and labels (N,) of each condition."""
    return {
        str(c): (part[logit_columns(part.columns)].to_numpy(np.float64), part["label"].to_numpy(np.int64))
        for c, part in predictions.groupby("condition", sort=False)
    }
