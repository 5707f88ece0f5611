"""Expected calibration error, before and after temperature scaling. No I/O.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ifmmin.training.calibration import by_condition, probabilities


def ece(p: ArrayLike, y: ArrayLike, bins: int) -> float:
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
    differences = np.bincount(bin_of, weights=correct - confidence, minlength=bins)
    return float(np.abs(differences).sum() / len(values))


def measure(
    predictions: pd.DataFrame, temperatures: Mapping[str, float], bins: int
) -> dict[str, dict[str, float]]:
    """Measure the expected calibration error of each condition, before and after temperature scaling.

    Args:
        predictions: condition, label, and logit_<class> for each class.
        temperatures: temperature of each condition in the predictions.
        bins: number of bins.

    Returns:
        Condition to {"temperature", "ece_before", "ece_after"}.
    """
    errors = {}
    for c, (logits, y) in by_condition(predictions).items():
        before, after = (ece(probabilities(logits, T), y, bins) for T in (1.0, temperatures[c]))
        errors[c] = {"temperature": temperatures[c], "ece_before": before, "ece_after": after}
    return errors
