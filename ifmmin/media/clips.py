"""The recordings of an utterance, before feature extraction."""

from dataclasses import dataclass
from pathlib import Path

from ifmmin.media.video import Video


@dataclass(frozen=True)
class Clip:
    """An utterance and its modalities; None for a missing one.

    Attributes:
        utterance_id: its id, also the name of its files.
        a: audio file.
        v: the part of a video that shows the speaker.
        t: transcript.
        label: emotion class.
        speaker: speaker id.
    """

    utterance_id: str
    a: Path | None = None
    v: Video | None = None
    t: str | None = None
    label: str | None = None
    speaker: str = ""
