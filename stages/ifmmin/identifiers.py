"""Utterance ids: whose they are, and which speaker they name."""

import re
from collections.abc import Iterable

IEMOCAP_ID = re.compile(r"(Ses\d{2})[FM]_\w+_([FM])\d+")


def is_iemocap(ids: Iterable[str]) -> bool:
    """Say whether every id has IEMOCAP's form, such as Ses02F_script03_1_M001."""
    return all(IEMOCAP_ID.fullmatch(utterance_id) for utterance_id in ids)


def speaker(utterance_id: str) -> str:
    """Name the speaker of an utterance.

    IEMOCAP: the session and the letter before the last number, `Ses02M` above; the letter behind the session
        only says whose
    markers were recorded in that dialogue, and grouping by it mixes two speakers. Other ids: all before the
    last underscore.

    Source:
        Class counts of the published pack's splits (listed in zuzianto/Gender-Bias-Multimodal) are those of
        speakers told apart this way.
    """
    match = IEMOCAP_ID.fullmatch(utterance_id)
    if match:
        return match[1] + match[2]
    return utterance_id.rpartition("_")[0] or utterance_id
