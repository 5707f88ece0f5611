"""WA and UA."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score

from ifmmin.core import scoring


def test_wa_and_ua_worked_out_by_hand():
    """Recalls: class 0 3/4, class 1 0/1, class 2 1/1. WA is 4/6, UA is (3/4 + 0 + 1) / 3."""
    y, predicted = [0, 0, 0, 0, 1, 2], [0, 0, 0, 2, 0, 2]

    assert scoring.wa(y, predicted) == pytest.approx(4 / 6)
    assert scoring.ua(y, predicted, 3) == pytest.approx(1.75 / 3)


def test_the_number_of_classes_is_fixed_and_not_read_from_predictions():
    """The third class is predicted once but has no utterance; with three classes its recall is 0."""
    assert scoring.ua([0, 0, 1, 1], [0, 2, 1, 1], 2) == pytest.approx((0.5 + 1) / 2)
    assert scoring.ua([0, 0, 1, 1], [0, 2, 1, 1], 3) == pytest.approx((0.5 + 1 + 0) / 3)


def test_a_constant_prediction_has_a_ua_of_1_over_the_classes():
    assert scoring.ua([0, 1, 2, 3, 3, 3], [3] * 6, 4) == pytest.approx(1 / 4)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(2, 5))
def test_ua_is_balanced_accuracy_if_every_class_has_utterances(data, n_classes):
    y = [*range(n_classes), *data.draw(st.lists(st.integers(0, n_classes - 1), max_size=20))]
    predicted = data.draw(st.lists(st.integers(0, n_classes - 1), min_size=len(y), max_size=len(y)))

    assert scoring.ua(y, predicted, n_classes) == pytest.approx(balanced_accuracy_score(y, predicted))
    assert scoring.wa(y, predicted) == pytest.approx(np.mean(np.array(y) == np.array(predicted)))


def scikit_learn(y, predicted, n_classes):
    """Accuracy, recalls and their mean over fixed labels; the recall of an empty class is 0."""
    each = recall_score(y, predicted, labels=range(n_classes), average=None, zero_division=0)
    macro = recall_score(y, predicted, labels=range(n_classes), average="macro", zero_division=0)
    return accuracy_score(y, predicted), each, macro


def agree(y, predicted, n_classes):
    accuracy, each, macro = scikit_learn(y, predicted, n_classes)
    assert scoring.wa(y, predicted) == pytest.approx(accuracy, rel=1e-12)
    np.testing.assert_allclose(scoring.recalls(y, predicted, n_classes), each, rtol=1e-12)
    assert scoring.ua(y, predicted, n_classes) == pytest.approx(macro, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(2, 6))
def test_wa_recalls_and_ua_agree_with_scikit_learn(data, n_classes):
    """Also for classes without utterances, predictions or both."""
    pairs = st.tuples(*[st.integers(0, n_classes - 1)] * 2)
    y, predicted = zip(*data.draw(st.lists(pairs, min_size=1, max_size=30)), strict=True)

    agree(y, predicted, n_classes)


@pytest.mark.parametrize(
    ("y", "predicted", "n_classes"),
    [
        ([0], [0], 4),
        ([3], [0], 4),
        ([2, 2, 2], [2, 2, 2], 3),
        ([0, 1, 2, 3], [1, 2, 3, 0], 4),
        ([0, 0, 1], [3, 3, 3], 4),
        ([1, 2], [0, 3], 4),
        ([0, 1, 1, 0], [0, 1, 1, 0], 2),
    ],
    ids=[
        "one right",
        "one wrong",
        "one class",
        "none right",
        "only a class without utterances predicted",
        "first and last class without utterances",
        "all right",
    ],
)
def test_edge_cases_agree_with_scikit_learn(y, predicted, n_classes):
    agree(y, predicted, n_classes)


def test_recalls_of_arrays_agree_with_scikit_learn():
    """The loop passes int64 arrays; 3000 is a validation set in six conditions."""
    draw = np.random.default_rng(0)

    agree(draw.integers(0, 4, 3000), draw.integers(0, 4, 3000), 4)


def test_recalls_worked_out_by_hand():
    """Class 0: 1/2; class 1: no utterance; class 2: 1/1; class 3: 0/1."""
    assert scoring.recalls([0, 0, 2, 3], [0, 1, 2, 2], 4).tolist() == [0.5, 0, 1, 0]
