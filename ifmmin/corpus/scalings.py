"""Acoustic scaling of one fold.

    data/folds/<fold>_scaling.json   {"mean": [D_a], "std": [D_a]}: per dimension, over all frames of the
                                     training utterances, in unscaled units; population std (ddof 0), 0
                                     replaced by 1.

Written by the stage split; read by pretrain, train and evaluate.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ifmmin.core.files import ArtifactError, read_json, write_json


def content(mean: NDArray[np.float64], std: NDArray[np.float64]) -> dict[str, list[float]]:
    """Content of the file for mean and std, both [D_a]. The header of a model file has the same content."""
    return {"mean": mean.tolist(), "std": std.tolist()}


def write(path: Path, mean: NDArray[np.float64], std: NDArray[np.float64]) -> None:
    """Write mean and std, both [D_a]."""
    write_json(path, content(mean, std))


def read(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read mean and std, both [D_a] float64.

    Raises:
        ArtifactError: if they are not finite lists of equal length, or a std is not positive.
    """
    try:
        content = read_json(path)
        mean, std = np.array(content["mean"], np.float64), np.array(content["std"], np.float64)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ArtifactError(f"{path}: not a readable scaling file ({error}). Rerun split.") from error
    if mean.shape != std.shape or mean.ndim != 1 or not np.isfinite([mean, std]).all() or not (std > 0).all():
        raise ArtifactError(
            f"{path}: invalid mean or std; expected finite lists of equal length, std above 0. Rerun split."
        )
    return mean, std
