"""WA and UA."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from ifmmin import scoring


def test_wa_and_ua_by_hand():
    """Class 0: 3 of 4 right; class 1: 0 of 1; class 2: 1 of 1. WA 4/6; UA (3/4 + 0 + 1) / 3."""
    y, predicted = [0, 0, 0, 0, 1, 2], [0, 0, 0, 2, 0, 2]

    assert scoring.wa(y, predicted) == pytest.approx(4 / 6)
    assert scoring.ua(y, predicted, 3) == pytest.approx(1.75 / 3)


def test_a_stray_prediction_of_a_class_without_utterances_adds_no_class():
    """The third class is predicted once and has no utterance: with three fixed labels its recall is 0."""
    assert scoring.ua([0, 0, 1, 1], [0, 2, 1, 1], 2) == pytest.approx((0.5 + 1) / 2)
    assert scoring.ua([0, 0, 1, 1], [0, 2, 1, 1], 3) == pytest.approx((0.5 + 1 + 0) / 3)


def test_ua_of_a_constant_prediction_is_one_over_the_number_of_classes():
    assert scoring.ua([0, 1, 2, 3, 3, 3], [3] * 6, 4) == pytest.approx(1 / 4)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(2, 5))
def test_ua_is_scikit_learn_s_balanced_accuracy_where_every_class_is_there(data, n_classes):
    y = [*range(n_classes), *data.draw(st.lists(st.integers(0, n_classes - 1), max_size=20))]
    predicted = data.draw(st.lists(st.integers(0, n_classes - 1), min_size=len(y), max_size=len(y)))

    assert scoring.ua(y, predicted, n_classes) == pytest.approx(balanced_accuracy_score(y, predicted))
    assert scoring.wa(y, predicted) == pytest.approx(np.mean(np.array(y) == np.array(predicted)))
