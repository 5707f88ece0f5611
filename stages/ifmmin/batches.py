"""From mapped features and a fold to what a network reads: sequences, masks, batches."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifmmin.nn.sequences import SILENCE, Sequences, sent
from ifmmin.terms import CONDITIONS, MODALITIES, availability

SHARES = tuple(k / 10 for k in range(1, 8))
"""Of what is missing where robustness is measured, besides none: as in later papers, see robustness."""


class Corpus(NamedTuple):
    """One fold, its features on a device.

    Attributes:
        x: modality to the sequences of all utterances, in the order of the index; acoustic frames are scaled.
        y: (N,) int64, target classes, on the device.
        rows: role to (n,) int64, the utterances that have it, on the host.
        utterance_ids: (N,) their ids.
        classes: class names in the order of the labels.
    """

    x: Mapping[str, Sequences]
    y: Tensor
    rows: Mapping[str, Tensor]
    utterance_ids: NDArray[np.object_]
    classes: list[str]

    def select(self, rows: Tensor) -> dict[str, Sequences]:
        """The sequences of the named utterances, (b,) int64."""
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
    """Bring one fold to a device.

    Args:
        index: utterance_id, label, and for each modality m_offset and m_length, 0 where it is missing.
        frames: modality to [frames, D] float32, mapped.
        classes: class names in the order of the labels.
        fold: utterance_id and role.
        scaling: mean and deviation of each acoustic dimension, fitted on this fold's training frames.
        device: where to.

    Returns:
        The corpus. On a CPU, visual and textual frames stay mapped; acoustic ones are copied, scaled.

    Source:
        Scaling: released code, data/multimodal_miss_dataset.py (visual and textual features are not scaled).
    """
    mean, std = (np.asarray(part, np.float32) for part in scaling)
    table = {**frames, "a": (frames["a"] - mean) / std}
    x = {
        m: Sequences(
            torch.from_numpy(table[m]).to(device),
            _tensor(index[f"{m}_offset"]),
            _tensor(index[f"{m}_length"]),
        )
        for m in MODALITIES
    }
    x = {m: _without(of, of.lengths == 0) for m, of in x.items()}
    role = index[["utterance_id"]].merge(fold, on="utterance_id", how="left")["role"].to_numpy()
    rows = {name: torch.from_numpy(np.flatnonzero(role == name)) for name in ("train", "validation", "test")}
    ids = index["utterance_id"].to_numpy(object)
    return Corpus(x, _tensor(index["label"]).to(device), rows, ids, classes)


def with_gaps(corpus: Corpus, role: str, share: float, seed: int) -> Corpus:
    """Take the utterances of a role with a share of the frames of each modality missing.

    A missing frame is all zero, as those of a missing modality are; a sequence without any frame is missing.
    What is missing depends on the seed, and what a small share misses, a larger one misses too.

    Args:
        corpus: whose utterances they are.
        role: train, validation or test.
        share: how likely a frame is missing, in [0, 1].
        seed: of the draw.

    Returns:
        A corpus of these utterances alone, in the same order; their frames are copied.
    """
    rows, generator = corpus.rows[role], torch.Generator().manual_seed(seed)
    x = {}
    for m, of in corpus.select(rows).items():
        start = of.lengths.cumsum(0) - of.lengths
        first = of.start.clamp_min(0)
        which = torch.arange(int(of.lengths.sum())) + (first - start).repeat_interleave(of.lengths)
        there = torch.rand(len(which), generator=generator) >= share
        frames = of.frames[sent(which, of.frames)] * sent(there, of.frames)[:, None]
        left = torch.zeros_like(start).index_add_(
            0, torch.arange(len(start)).repeat_interleave(of.lengths), there.long()
        )
        x[m] = _without(Sequences(frames, start, of.lengths), (left == 0) | ~of.present)
    y, ids = corpus.y[sent(rows, corpus.y)], corpus.utterance_ids[rows.numpy()]
    return Corpus(x, y, {role: torch.arange(len(rows))}, ids, corpus.classes)


def _without(x: Sequences, missing: Tensor) -> Sequences:
    """Take away some of the sequences, (B,) bool; each network puts its zero placeholder there."""
    return x._replace(
        start=torch.where(missing, SILENCE, x.start), lengths=torch.where(missing, 1, x.lengths)
    )


def _tensor(column: "pd.Series[int]") -> Tensor:
    return torch.tensor(column.to_numpy(np.int64))


def draw_masks(n: int, generator: torch.Generator) -> Tensor:
    """Draw one of the six conditions for each of n utterances, uniformly and independently: (n, 3) bool.

    Full input is never drawn. The draw depends on the generator alone, not on batches.

    Source:
        Released code, data/multimodal_miss_dataset.py: random choice of a missing type for each item, in
        each epoch.
    """
    table = torch.tensor([availability(condition) for condition in CONDITIONS])
    return table[torch.randint(len(CONDITIONS), (n,), generator=generator)]


def draw_batches(n: int, size: int, smallest: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the positions 0..n-1 in random order, `size` at a time.

    A last batch of fewer than `smallest` is left out.
    """
    for positions in torch.split(torch.randperm(n, generator=generator), size):
        if len(positions) >= smallest:
            yield positions
