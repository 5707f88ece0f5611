"""Utterance ids and their speakers."""

import pytest

from ifmmin.pack.ids import is_iemocap, speaker


@pytest.mark.parametrize(
    ("utterance_id", "name"),
    [
        ("Ses01F_impro01_F000", "Ses01F"),
        ("Ses01F_impro01_M000", "Ses01M"),
        ("Ses02M_script03_1_F012", "Ses02F"),
        ("Ses05F_impro04_MXX1", "Ses05F_impro04"),
        ("-3g5yACwYnA_13", "-3g5yACwYnA"),
        ("two_under_7", "two_under"),
        ("alone", "alone"),
        ("_7", "_7"),
    ],
)
def test_speaker_is_session_and_last_letter_or_all_before_the_last_underscore(utterance_id, name):
    assert speaker(utterance_id) == name


def test_ids_are_iemocap_s_only_when_all_are():
    assert is_iemocap(["Ses01F_impro01_F000", "Ses02M_script03_1_M001"])
    assert not is_iemocap(["Ses01F_impro01_F000", "-3g5yACwYnA_13"])


@pytest.mark.parametrize(
    "utterance_id",
    ["Ses1F_impro01_F000", "Ses01X_impro01_F000", "Ses01F_impro01_F", "xSes01F_impro01_F000", "Ses01F_F000"],
)
def test_a_form_that_only_resembles_iemocap_s_is_not(utterance_id):
    assert not is_iemocap([utterance_id])
