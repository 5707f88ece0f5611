"""Weighted and unweighted accuracy (WA, UA). No I/O.

They equal scikit-learn's accuracy and macro-averaged recall (tests/unit/test_scoring.py compares them).
Implemented in NumPy because importing scikit-learn takes about one second.

Source: paper, section 3.3; released code.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def wa(y: ArrayLike, predicted: ArrayLike) -> float:
    """Weighted accuracy: the fraction of correctly classified utterances, in [0, 1]."""
    return float(np.mean(np.asarray(y) == np.asarray(predicted)))


def recalls(y: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    """Recall of each class, (n_classes,), in [0, 1]; 0 for a class without utterances."""
    labels = np.asarray(y)
    correct = np.bincount(labels[labels == np.asarray(predicted)], minlength=n_classes)
    return correct / np.maximum(np.bincount(labels, minlength=n_classes), 1)


def ua(y: ArrayLike, predicted: ArrayLike, n_classes: int) -> float:
    """Unweighted accuracy: the mean recall over all classes, in [0, 1].

    The number of classes is fixed. In the released code, a predicted class that has no utterance adds a term
    to the mean; here it does not.
    """
    return float(recalls(y, predicted, n_classes).mean())
