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
def test_speaker_follows_iemocap_or_is_all_before_the_last_underscore(utterance_id, name):
    assert speaker(utterance_id) == name


def test_a_corpus_is_iemocap_only_if_all_ids_are():
    assert is_iemocap(["Ses01F_impro01_F000", "Ses02M_script03_1_M001"])
    assert not is_iemocap(["Ses01F_impro01_F000", "-3g5yACwYnA_13"])


@pytest.mark.parametrize(
    "utterance_id",
    ["Ses1F_impro01_F000", "Ses01X_impro01_F000", "Ses01F_impro01_F", "xSes01F_impro01_F000", "Ses01F_F000"],
)
def test_an_id_that_only_resembles_iemocap_is_not_iemocap(utterance_id):
    assert not is_iemocap([utterance_id])
