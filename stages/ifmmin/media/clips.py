"""What there is of an utterance before anything is extracted."""

from dataclasses import dataclass
from pathlib import Path

from ifmmin.media.video import Video


@dataclass(frozen=True)
class Clip:
    """An utterance and where its modalities are; None where it has none.

    Attributes:
        utterance_id: its id, which is also the name of its files.
        a: the recording of its sound.
        v: the part of a video that shows its speaker.
        t: what is said.
        label: its class.
        speaker: who speaks.
    """

    utterance_id: str
    a: Path | None = None
    v: Video | None = None
    t: str | None = None
    label: str | None = None
    speaker: str = ""
