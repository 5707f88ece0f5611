"""WA and UA. Pure.

By numpy, since importing scikit-learn, whose accuracy and macro recall they are (a test compares), takes a
second of every stage.

Source: paper, section 3.3; released code.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def wa(y: ArrayLike, predicted: ArrayLike) -> float:
    """Weighted accuracy: the share of utterances that are right, in [0, 1]."""
    return float(np.mean(np.asarray(y) == np.asarray(predicted)))


def recalls(y: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    """Recall of each class, (n_classes,), in [0, 1]; 0 where a class has no utterances."""
    labels = np.asarray(y)
    right = np.bincount(labels[labels == np.asarray(predicted)], minlength=n_classes)
    return right / np.maximum(np.bincount(labels, minlength=n_classes), 1)


def ua(y: ArrayLike, predicted: ArrayLike, n_classes: int) -> float:
    """Unweighted accuracy: the mean over all classes of their recall, in [0, 1].

    With fixed labels a stray prediction cannot add a class to the mean, as it can in the released code.
    """
    return float(recalls(y, predicted, n_classes).mean())
