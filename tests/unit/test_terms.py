"""Names of modalities and conditions."""

import pytest

from ifmmin.core.terms import CONDITIONS, FULL, MODALITIES, availability


def test_modalities_are_in_the_order_a_v_t():
    assert MODALITIES == ("a", "v", "t")


def test_the_six_conditions_are_the_nonempty_proper_subsets():
    subsets = {frozenset(c) for c in CONDITIONS}

    assert len(CONDITIONS) == len(subsets) == 2**3 - 2
    assert frozenset(FULL) not in subsets


def test_availability_is_in_the_order_of_the_modalities():
    assert availability("at") == (True, False, True)
    assert availability("v") == (False, True, False)
    assert availability("avt") == (True, True, True)


@pytest.mark.parametrize("condition", ["x", "", "ta", "l"])
def test_an_unknown_condition_is_refused(condition):
    with pytest.raises(ValueError, match=f"condition '{condition}' is not known; expected one of a, v, t"):
        availability(condition)
