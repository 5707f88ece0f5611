"""Acoustic frames as the MMIN authors made them: ten per second, from openSMILE.

openSMILE extracts the ComParE low-level descriptors.

Source: paper, section 3.1; released code (MMIN), preprocess/IEMOCAP/make_comparE.py.
"""

from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from ifmmin.core.errors import one_line
from ifmmin.media.packages import needed

RATE = 16_000
"""Sampling rate of IEMOCAP in Hz. Other audio is resampled, because the descriptors depend on the rate."""

SHORTEST = 0.06
"""Window length of the descriptors, in seconds."""

SILENT = 2**-14
"""Largest range of samples (full scale 1) that counts as silence: two 16-bit steps, the range of dither."""

DOWNSAMPLING = 10
"""Descriptors are computed every 10 ms and downsampled by this factor."""


class Acoustic:
    """openSMILE's ComParE_2016: 65 low-level descriptors and their 65 deltas.

    Attributes:
        name: version of openSMILE and its settings.
        size: 130 columns.
    """

    size = 130

    def __init__(self) -> None:
        """Set up openSMILE.

        Raises:
            UserError: if a package is missing.
        """
        with needed():
            import opensmile
            import soundfile
        levels = opensmile.FeatureLevel.LowLevelDescriptors, opensmile.FeatureLevel.LowLevelDescriptors_Deltas
        self._levels = [opensmile.Smile(opensmile.FeatureSet.ComParE_2016, level) for level in levels]
        self._sound = soundfile
        self.name = f"opensmile {opensmile.__version__} ComParE_2016 LLD+delta {RATE} Hz /{DOWNSAMPLING}"

    def fault(self, path: Path) -> str | None:
        """Check the header of a recording; return an error message, or None if it is usable."""
        try:
            seconds = self._sound.info(path).duration
        except (self._sound.LibsndfileError, OSError) as error:
            return f"{path}: not readable as sound ({one_line(error)}); expected a wav or flac file."
        if seconds < SHORTEST:
            return f"{path}: lasts {seconds:.3f} s; expected at least {SHORTEST} s, one window of openSMILE."
        return None

    def frames(self, path: Path) -> NDArray[np.float32] | None:
        """Extract the frames of a recording; several channels are averaged.

        Returns:
            [T, 130] float32, unscaled; T is the number of descriptors / 10, rounded up, so at least 1.
            None for silence, for which openSMILE would still return descriptors.
        """
        x, rate = self._sound.read(path, dtype="float32", always_2d=True)  # [samples, channels]
        if np.ptp(x, axis=0).max() <= SILENT:
            return None
        common = gcd(RATE, rate)
        x = resample_poly(x.mean(1), RATE // common, rate // common)
        return decimated(self.descriptors(x))

    def descriptors(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compute descriptors and deltas of samples at 16 kHz: [T, 130], a row every 10 ms.

        Both start at 0 s and are joined row by row. This equals an inner join on start and end, except for
        the last rows: openSMILE clips their times to the end of the recording, so several share one time.
        """
        parts = [level.process_signal(x, RATE).to_numpy(np.float64) for level in self._levels]
        T = min(map(len, parts))
        return np.concatenate([part[:T] for part in parts], axis=1)


def decimated(x: NDArray[np.float64]) -> NDArray[np.float32]:
    """Low-pass filter frames [T, D] with zero padding and keep every tenth: [T / 10 rounded up, D]."""
    return np.asarray(resample_poly(x, 1, DOWNSAMPLING, axis=0), np.float32)
