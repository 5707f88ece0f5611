"""WA and UA. Pure.

Source: paper, section 3.3; released code (scikit-learn's accuracy and macro recall).
"""

from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score, recall_score


def wa(y: ArrayLike, predicted: ArrayLike) -> float:
    """Weighted accuracy: the share of utterances that are right, in [0, 1]."""
    return float(accuracy_score(y, predicted))


def ua(y: ArrayLike, predicted: ArrayLike, n_classes: int) -> float:
    """Unweighted accuracy: the mean over all classes of their recall, in [0, 1].

    A class without utterances counts as 0. With fixed labels a stray prediction cannot add a class to the
    mean, as it can in the released code.
    """
    return float(recall_score(y, predicted, labels=range(n_classes), average="macro", zero_division=0))
