"""From what a pack says to the tables of the pipeline. Pure."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ifmmin.identifiers import speaker
from ifmmin.terms import MODALITIES


def index(labels: Mapping[str, int], lengths: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """Say of each utterance who speaks, what its class is, and where its frames lie.

    Args:
        labels: class index by utterance id.
        lengths: modality to the number of frames of each utterance, in the order of the sorted ids.

    Returns:
        utterance_id, speaker, label, and for each modality m_offset and m_length, sorted by utterance_id.
    """
    ids = sorted(labels)
    table = pd.DataFrame(
        {"utterance_id": ids, "speaker": [speaker(i) for i in ids], "label": [labels[i] for i in ids]}
    )
    for m in MODALITIES:
        frames = np.asarray(lengths[m], np.int64)
        table[f"{m}_offset"] = np.cumsum(frames) - frames
        table[f"{m}_length"] = frames
    return table


def pack_folds(folds: Mapping[int, Mapping[str, Sequence[str]]]) -> pd.DataFrame:
    """List the folds of a pack's target files: fold, utterance_id, role, sorted by fold and utterance."""
    rows = [(fold, i, role) for fold, roles in folds.items() for role, ids in roles.items() for i in ids]
    table = pd.DataFrame(rows, columns=["fold", "utterance_id", "role"])
    return table.sort_values(["fold", "utterance_id"], ignore_index=True)
