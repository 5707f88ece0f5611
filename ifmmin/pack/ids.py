"""Utterance ids: whether they are IEMOCAP's, and the speaker they contain."""

import re
from collections.abc import Iterable

IEMOCAP_ID = re.compile(r"(Ses\d{2})[FM]_\w+_([FM])\d+")


def is_iemocap(ids: Iterable[str]) -> bool:
    """Whether all ids have IEMOCAP's form, for example Ses02F_script03_1_M001."""
    return all(IEMOCAP_ID.fullmatch(utterance_id) for utterance_id in ids)


def speaker(utterance_id: str) -> str:
    """The speaker of an utterance.

    In IEMOCAP's ids, the speaker is the session plus the letter before the last number: Ses02M in
    Ses02F_script03_1_M001. The letter after the session number is the actor who wore the motion-capture
    markers in this dialogue, so grouping by it mixes two speakers. In other ids, the speaker is the part
    before the last underscore.

    Source:
        The class counts of the published pack's splits (listed in zuzianto/Gender-Bias-Multimodal) match
        speakers identified in this way.
    """
    match = IEMOCAP_ID.fullmatch(utterance_id)
    if match:
        return match[1] + match[2]
    return utterance_id.rpartition("_")[0] or utterance_id
