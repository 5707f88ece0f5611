"""Sequences, masks and batches from memory-mapped features and a fold."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifmmin.core.terms import CONDITIONS, MODALITIES, availability
from ifmmin.nn.sequences import MISSING, Sequences


class Corpus(NamedTuple):
    """One fold with its features on a device.

    Attributes:
        x: modality to the sequences of all utterances, in the order of the index; acoustic frames are scaled.
        y: (N,) int64, target class indices, on the device.
        rows: role to (n,) int64, row numbers of its utterances, on the CPU.
        utterance_ids: (N,) utterance ids.
        classes: class names in label order.
    """

    x: Mapping[str, Sequences]
    y: Tensor
    rows: Mapping[str, Tensor]
    utterance_ids: NDArray[np.object_]
    classes: list[str]

    def select(self, rows: Tensor) -> dict[str, Sequences]:
        """The sequences of the utterances with the given row numbers, (b,) int64."""
        return {m: x.select(rows) for m, x in self.x.items()}

    def sizes(self) -> dict[str, int]:
        """Feature size D_m of each modality."""
        return {m: x.frames.shape[1] for m, x in self.x.items()}


def corpus(
    index: pd.DataFrame,
    frames: Mapping[str, NDArray[np.float32]],
    classes: list[str],
    fold: pd.DataFrame,
    scaling: tuple[NDArray[np.float64], NDArray[np.float64]],
    device: torch.device,
) -> Corpus:
    """Put the features of one fold on a device.

    Args:
        index: utterance_id, label, and for each modality m_offset and m_length, 0 where it is missing.
        frames: modality to [frames, D] float32, memory-mapped.
        classes: class names in label order.
        fold: utterance_id and role.
        scaling: mean and std of each acoustic dimension, fitted on the training frames of this fold.
        device: target device.

    Returns:
        The corpus. On a CPU, visual and textual frames stay memory-mapped; acoustic frames are scaled copies.

    Source:
        Scaling: released code, data/multimodal_miss_dataset.py (visual and textual features are not scaled).
    """
    mean, std = (np.asarray(values, np.float32) for values in scaling)
    table = {**frames, "a": (frames["a"] - mean) / std}
    x = {
        m: Sequences(
            torch.from_numpy(table[m]).to(device),
            _tensor(index[f"{m}_offset"]),
            _tensor(index[f"{m}_length"]),
        )
        for m in MODALITIES
    }
    x = {m: mark_missing(sequences, sequences.lengths == 0) for m, sequences in x.items()}
    role = index[["utterance_id"]].merge(fold, on="utterance_id", how="left")["role"].to_numpy()
    rows = {name: torch.from_numpy(np.flatnonzero(role == name)) for name in ("train", "validation", "test")}
    ids = index["utterance_id"].to_numpy(object)
    return Corpus(x, _tensor(index["label"]).to(device), rows, ids, classes)


def mark_missing(x: Sequences, missing: Tensor) -> Sequences:
    """Mark sequences as missing, (B,) bool; networks replace them by the zero placeholder."""
    return x._replace(
        start=torch.where(missing, MISSING, x.start), lengths=torch.where(missing, 1, x.lengths)
    )


def _tensor(column: "pd.Series[int]") -> Tensor:
    return torch.tensor(column.to_numpy(np.int64))


def draw_masks(n: int, generator: torch.Generator) -> Tensor:
    """Draw one of the six conditions for each of n utterances, uniformly and independently: (n, 3) bool.

    The full input is never drawn. The masks do not depend on the batches.

    Source:
        Released code, data/multimodal_miss_dataset.py: random choice of a missing type for each item, in
        each epoch.
    """
    table = torch.tensor([availability(condition) for condition in CONDITIONS])
    return table[torch.randint(len(CONDITIONS), (n,), generator=generator)]


def draw_batches(n: int, size: int, smallest: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the positions 0..n-1 in random order, `size` at a time.

    The last batch is dropped if it has fewer than `smallest` positions, unless n itself is smaller: then one
    batch of n >= 2 is better than none.
    """
    smallest = min(smallest, max(n, 2))
    for positions in torch.split(torch.randperm(n, generator=generator), size):
        if len(positions) >= smallest:
            yield positions
