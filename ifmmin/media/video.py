"""Images of a video at a given rate, read with OpenCV."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ifmmin.core.errors import UserError
from ifmmin.media.packages import needed


@dataclass(frozen=True)
class Video:
    """A time range of a video file, with the whole picture or half of it.

    Attributes:
        path: the video file.
        start, end: seconds from the beginning; the end is exclusive.
        half: half of the picture; None for the whole picture.
    """

    path: Path
    start: float = 0.0
    end: float = inf
    half: Literal["left", "right"] | None = None

    def images(self, per_second: float) -> Iterator[NDArray[np.uint8]]:
        """Read at most `per_second` images per second, or all of them if the video has fewer.

        Yields:
            [height, width, 3] uint8, in the order blue, green, red.

        Raises:
            UserError: if OpenCV is missing or cannot read the file.
        """
        with _opened(self.path) as (capture, rate):
            first = round(self.start * rate)
            if first:
                capture.set(_cv2().CAP_PROP_POS_FRAMES, first)
            n = taken = 0
            while first + n < self.end * rate and capture.grab():
                if n * per_second >= taken * rate:
                    yield self._cropped(capture.retrieve()[1])
                    taken += 1
                n += 1

    def _cropped(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        middle = image.shape[1] // 2
        return {"left": image[:, :middle], "right": image[:, middle:], None: image}[self.half]


def fault(path: Path) -> str | None:
    """Check a video file; return an error message, or None if it is usable."""
    try:
        with _opened(path):
            return None
    except UserError as error:
        return str(error)


def _cv2() -> Any:  # noqa: ANN401 - optional package
    with needed():
        import cv2
    return cv2


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, float]]:
    """Open a file; yield OpenCV's capture and the images per second."""
    cv2 = _cv2()
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)  # never a camera or a pattern of names
    try:
        rate = capture.get(cv2.CAP_PROP_FPS) if capture.isOpened() else 0.0
        if not rate > 0:
            raise UserError(f"{path}: not readable as a video; expected one that OpenCV opens, mp4 or avi.")
        yield capture, rate
    finally:
        capture.release()
