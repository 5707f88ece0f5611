"""From recordings to frames: of one clip, or of a corpus."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ifmmin.errors import UserError
from ifmmin.media import video as videos
from ifmmin.media.clips import Clip
from ifmmin.media.sound import Acoustic
from ifmmin.media.transcripts import listed
from ifmmin.media.video import Video
from ifmmin.media.visual import chosen
from ifmmin.media.words import Textual
from ifmmin.terms import MODALITIES

log = logging.getLogger("ifmmin")

NO_VISUAL = "none"
"""What --visual says to leave the videos alone."""

NOTHING = {"a": "no sound", "v": "no face", "t": "no word"}
"""What an extractor that finds nothing has not found."""

Frames = NDArray[np.float32]


class Extractor(Protocol):
    """What makes frames of one modality: Acoustic, Textual, or a visual plug-in."""

    name: str
    size: int

    def frames(self, source: Any) -> Frames | None:  # noqa: ANN401 - a path, a video or a text
        """Make frames [T, size] float32; None where there is nothing to see."""
        ...


def clip(
    audio: Path | None, text: str | None, video: Path | None, *, encoder: Path | None, visual: str
) -> tuple[dict[str, Frames], dict[str, str]]:
    """Extract the frames of one clip.

    Args:
        audio: its sound; None where there is none.
        text: what is said; None where that is not known.
        video: its video; None where there is none.
        encoder: folder of the textual encoder.
        visual: name of the visual plug-in.

    Returns:
        Frames [T, D] float32 by modality, of what was given; where nothing is found, which is said, one frame
        of zeros: the modality is missing. And what made them, by modality.

    Raises:
        UserError: if a package or the encoder is missing, or a file is not what it should be.
    """
    given = Clip("", audio, None if video is None else Video(video), text)
    extractors = made([given], encoder=encoder, visual=visual)
    frames = {m: _frames(extractor, getattr(given, m)) for m, extractor in extractors.items()}
    shown = {"a": audio, "v": video, "t": "--text"}
    for m, x in frames.items():
        if not x.any():
            log.warning("warning: %s: %s was found; modality %s counts as missing.", shown[m], NOTHING[m], m)
    return frames, names(extractors)


def made(clips: Sequence[Clip], *, encoder: Path | None, visual: str) -> dict[str, Extractor]:
    """Make what extracts the modalities that some clip has, and look whether their files can be read.

    Without an encoder texts are left out, and videos where the plug-in is "none".

    Raises:
        UserError: if one cannot be made, nothing is left, or for each file that cannot be read.
    """
    makers: dict[str, Callable[[], Extractor]] = {"a": Acoustic}
    if visual != NO_VISUAL:
        makers["v"] = partial(chosen, visual)
    if encoder is not None:
        makers["t"] = partial(Textual, encoder)
    there = [m for m in MODALITIES if any(getattr(c, m) is not None for c in clips)]
    if "t" in there and encoder is None:
        log.warning("warning: texts are left out; to have them, name an encoder's folder with --encoder.")
    extractors = {m: makers[m]() for m in there if m in makers}
    if not extractors:
        raise UserError("nothing is left to extract; expected sound, video or, with an encoder, text.")
    faults = []
    if isinstance(acoustic := extractors.get("a"), Acoustic):
        faults += [acoustic.fault(c.a) for c in clips if c.a is not None]
    if "v" in extractors:
        faults += [videos.fault(path) for path in dict.fromkeys(c.v.path for c in clips if c.v is not None)]
    if found := [fault for fault in faults if fault is not None]:
        raise UserError("\n".join(found))
    return extractors


def names(extractors: Mapping[str, Extractor]) -> dict[str, str]:
    """What made the frames, by modality: no path, so that it may be passed on."""
    return {m: extractor.name for m, extractor in extractors.items()}


def corpus(
    clips: Sequence[Clip], extractors: Mapping[str, Extractor]
) -> dict[str, Callable[[], Iterator[tuple[str, Frames]]]]:
    """For each modality, what yields (utterance id, frames [T, D]) of the clips that have it.

    Says how many clips lack it, and in how many videos nothing is found.
    """
    return {m: partial(_extracted, clips, m, extractor) for m, extractor in extractors.items()}


def _extracted(clips: Sequence[Clip], m: str, extractor: Extractor) -> Iterator[tuple[str, Frames]]:
    there = {c.utterance_id: getattr(c, m) for c in clips if getattr(c, m) is not None}
    lacking = [c.utterance_id for c in clips if c.utterance_id not in there]
    if lacking:
        log.warning(
            "warning: there is no %s of %s: ingest refuses a labelled pack of which something is missing.",
            m,
            listed(lacking, len(clips)),
        )
    blank = []
    for utterance_id, source in tqdm(there.items(), m, unit="utterance", disable=not sys.stderr.isatty()):
        frames = _frames(extractor, source)
        if not frames.any():
            blank.append(utterance_id)
        yield utterance_id, frames
    if blank:
        log.warning(
            "warning: %s was found in %s: one frame of zeros each, which counts as missing.",
            NOTHING[m],
            listed(blank, len(there)),
        )


def _frames(extractor: Extractor, source: Any) -> Frames:  # noqa: ANN401 - a path, a video or a text
    """Extract one modality; one frame of zeros where nothing is found, as in the published pack."""
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
            f"{extractor.name} makes frames of shape {list(frames.shape)} of {source}; "
            f"expected finite numbers [T, {extractor.size}], T at least 1."
        )
    return frames
