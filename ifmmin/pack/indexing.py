"""Tables of the pipeline from the content of a feature pack. No I/O."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin.core.terms import MODALITIES
from ifmmin.pack.ids import speaker


def index(labels: Mapping[str, int], frames: Mapping[str, Sequence[NDArray[np.float32]]]) -> pd.DataFrame:
    """Make the index: speaker, class and position of the frames of each utterance.

    Args:
        labels: class index by utterance id.
        frames: modality to the frames [T, D] of each utterance, in the order of the sorted ids.

    Returns:
        utterance_id, speaker, label, and for each modality m_offset and m_length, sorted by utterance_id. An
        all-zero sequence means that the modality is missing; its length is 0.
    """
    ids = sorted(labels)
    table = pd.DataFrame(
        {"utterance_id": ids, "speaker": [speaker(i) for i in ids], "label": [labels[i] for i in ids]}
    )
    for m in MODALITIES:
        lengths = np.array([len(x) for x in frames[m]], np.int64)
        table[f"{m}_offset"] = np.cumsum(lengths) - lengths
        table[f"{m}_length"] = np.where([x.any() for x in frames[m]], lengths, 0)
    return table


def summary(index: pd.DataFrame, folds: pd.DataFrame, sizes: Mapping[str, int], n_classes: int) -> list[str]:
    """Summarise a corpus: its size, and the number of utterances with a missing modality.

    Args:
        index: the result of `index`.
        folds: the result of `pack_folds`.
        sizes: modality to its feature size D_m.
        n_classes: number of classes.

    Returns:
        Two lines of text.
    """
    n_folds, features = folds["fold"].nunique(), ", ".join(f"{m} {size}" for m, size in sizes.items())
    missing = ", ".join(f"{m} {(index[f'{m}_length'] == 0).sum():,}" for m in sizes)
    return [
        f"{len(index):,} utterances, {n_classes} classes, features {features}, {n_folds} folds",
        f"utterances with a missing modality (all-zero sequence): {missing}",
    ]


def pack_folds(folds: Mapping[int, Mapping[str, Sequence[str]]]) -> pd.DataFrame:
    """Table of the folds in a pack's target files: fold, utterance_id, role; sorted by fold and utterance."""
    rows = [(fold, i, role) for fold, roles in folds.items() for role, ids in roles.items() for i in ids]
    table = pd.DataFrame(rows, columns=["fold", "utterance_id", "role"])
    return table.sort_values(["fold", "utterance_id"], ignore_index=True)
