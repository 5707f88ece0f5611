"""Sequences of unequal length without padding: a table of frames, and where in it each sequence lies."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

GROUP_ROWS = 16
"""Sequences that run together.

Few enough to be of like length, enough to fill a matrix product (measured on one core).
"""


class Sequences(NamedTuple):
    """B sequences that lie in one table of frames.

    Attributes:
        frames: (N, D) float32, shared by as many sequences as one likes.
        start: (B,) int64, first frame of each.
        lengths: (B,) int64, number of frames of each, at least 1.
    """

    frames: Tensor
    start: Tensor
    lengths: Tensor

    def select(self, rows: Tensor) -> "Sequences":
        """Take the named sequences, (b,) int64, in that order; no frame is copied."""
        return Sequences(self.frames, self.start[rows], self.lengths[rows])

    def padded(self, *, at_least: int = 1) -> Tensor:
        """Copy the frames into (B, T, D), zeros behind each sequence; T is the longest, or `at_least`."""
        steps = torch.arange(max(int(self.lengths.max()), at_least), device=self.start.device)
        inside = steps < self.lengths[:, None]  # (B, T)
        where = self.start[:, None] + torch.where(inside, steps, 0)
        x = self.frames.index_select(0, where.flatten()).view(*where.shape, -1)  # (B, T, D)
        return x.masked_fill_(~inside[..., None], 0)

    def by_length(self) -> Iterator[tuple[Tensor, "Sequences"]]:
        """Yield groups of like length: their rows (b,) and the sequences.

        Padding then costs next to nothing.
        """
        order = torch.argsort(self.lengths, stable=True)
        for rows in torch.split(order, GROUP_ROWS):
            yield rows, self.select(rows)


def from_padded(x: Tensor, lengths: Tensor | None = None) -> Sequences:
    """View a padded batch as sequences.

    Args:
        x: (B, T, D) float32.
        lengths: (B,) int64; all T where it is not given.

    Returns:
        The sequences; frames behind a length are never read.
    """
    B, T, D = x.shape
    full = torch.full((B,), T, device=x.device)
    return Sequences(
        x.reshape(B * T, D), torch.arange(B, device=x.device) * T, full if lengths is None else lengths
    )


def silence(steps: int, size: int, like: Tensor) -> Sequences:
    """A missing modality: one all-zero sequence of `steps` frames of `size` numbers.

    It is where and of what type `like` is.
    """
    return from_padded(like.new_zeros(1, steps, size))
