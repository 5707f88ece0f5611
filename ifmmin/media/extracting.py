"""Feature extraction from one clip or a corpus of recordings."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ifmmin.core.errors import UserError
from ifmmin.core.terms import MODALITIES
from ifmmin.media import video as videos
from ifmmin.media.clips import Clip
from ifmmin.media.sound import Acoustic
from ifmmin.media.transcripts import listed
from ifmmin.media.video import Video
from ifmmin.media.visual import load_plugin
from ifmmin.media.words import Textual

log = logging.getLogger("ifmmin")

NO_VISUAL = "none"
"""Value of --visual that skips the videos."""

NOTHING = {"a": "no sound", "v": "no face", "t": "no word"}
"""Modality to the message for an empty recording."""

Frames = NDArray[np.float32]


class Extractor(Protocol):
    """Extractor of one modality: Acoustic, Textual, or a visual plug-in."""

    name: str
    size: int

    def frames(self, source: Any) -> Frames | None:  # noqa: ANN401 - a path, a video or a text
        """Extract frames [T, size] float32; None if the source has no sound, face or word."""
        ...


def clip(
    audio: Path | None, text: str | None, video: Path | None, *, encoder: Path | None, visual: str
) -> tuple[dict[str, Frames], dict[str, str]]:
    """Extract the frames of one clip.

    Args:
        audio: audio file; None if there is none.
        text: transcript; None if there is none.
        video: video file; None if there is none.
        encoder: folder of the text encoder.
        visual: name of the visual plug-in.

    Returns:
        Modality to frames [T, D] float32 of the given recordings, and modality to extractor name. A recording
        without sound, face or word gives one zero frame (a missing modality) and a warning.

    Raises:
        UserError: if a package or the encoder is missing, or a file cannot be read.
    """
    recording = Clip("", audio, None if video is None else Video(video), text)
    extractors = build_extractors([recording], encoder=encoder, visual=visual)
    frames = {m: _frames(extractor, getattr(recording, m)) for m, extractor in extractors.items()}
    sources = {"a": audio, "v": video, "t": "--text"}
    for m, x in frames.items():
        if not x.any():
            log.warning(
                "warning: %s: %s was found; modality %s counts as missing.", sources[m], NOTHING[m], m
            )
    return frames, names(extractors)


def build_extractors(clips: Sequence[Clip], *, encoder: Path | None, visual: str) -> dict[str, Extractor]:
    """Build the extractors of all modalities in the clips, and check that the files are readable.

    It skips texts without an encoder, and videos if the plug-in is "none".

    Raises:
        UserError: if an extractor cannot be built, no modality remains, or files are unreadable.
    """
    makers: dict[str, Callable[[], Extractor]] = {"a": Acoustic}
    if visual != NO_VISUAL:
        makers["v"] = partial(load_plugin, visual)
    if encoder is not None:
        makers["t"] = partial(Textual, encoder)
    available = [m for m in MODALITIES if any(getattr(c, m) is not None for c in clips)]
    if "t" in available and encoder is None:
        log.warning("warning: texts are left out; to include them, pass the encoder's folder with --encoder.")
    extractors = {m: makers[m]() for m in available if m in makers}
    if not extractors:
        raise UserError(
            "there is no modality to extract; expected audio, video or, with an encoder, text. "
            "Check --audio, --video, --visual and --encoder."
        )
    faults = []
    if isinstance(acoustic := extractors.get("a"), Acoustic):
        faults += [acoustic.fault(c.a) for c in clips if c.a is not None]
    if "v" in extractors:
        faults += [videos.fault(path) for path in dict.fromkeys(c.v.path for c in clips if c.v is not None)]
    if messages := [fault for fault in faults if fault is not None]:
        raise UserError("\n".join(messages))
    return extractors


def names(extractors: Mapping[str, Extractor]) -> dict[str, str]:
    """Return modality to extractor name; names hold no paths, so they can be published."""
    return {m: extractor.name for m, extractor in extractors.items()}


def corpus(
    clips: Sequence[Clip], extractors: Mapping[str, Extractor]
) -> dict[str, Callable[[], Iterator[tuple[str, Frames]]]]:
    """Return modality to a function that yields (utterance id, frames [T, D]) of the clips that have it.

    The function warns about clips without the modality, and about empty recordings.
    """
    return {m: partial(_extracted, clips, m, extractor) for m, extractor in extractors.items()}


def _extracted(clips: Sequence[Clip], m: str, extractor: Extractor) -> Iterator[tuple[str, Frames]]:
    sources = {c.utterance_id: getattr(c, m) for c in clips if getattr(c, m) is not None}
    lacking = [c.utterance_id for c in clips if c.utterance_id not in sources]
    if lacking:
        log.warning(
            "warning: modality %s is missing in %s; ingest rejects labelled packs with missing modalities.",
            m,
            listed(lacking, len(clips)),
        )
    blank = []
    for utterance_id, source in tqdm(sources.items(), m, unit="utterance", disable=not sys.stderr.isatty()):
        frames = _frames(extractor, source)
        if not frames.any():
            blank.append(utterance_id)
        yield utterance_id, frames
    if blank:
        log.warning(
            "warning: %s was found in %s; each gets one zero frame, which counts as missing.",
            NOTHING[m],
            listed(blank, len(sources)),
        )


def _frames(extractor: Extractor, source: Any) -> Frames:  # noqa: ANN401 - a path, a video or a text
    """Extract one modality; an empty recording gives one zero frame, as in the published pack."""
    frames = extractor.frames(source)
    if frames is None:
        return np.zeros((1, extractor.size), np.float32)
    if (
        frames.ndim != 2
        or not len(frames)
        or frames.shape[1] != extractor.size
        or not np.isfinite(frames).all()
    ):
        raise UserError(
            f"{extractor.name}: frames of {source} have shape {list(frames.shape)} or non-finite values; "
            f"expected finite numbers [T, {extractor.size}], T at least 1."
        )
    return frames
