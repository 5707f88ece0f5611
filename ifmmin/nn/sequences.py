"""Sequences of unequal length without padding: one table of frames, with the position of each sequence."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

GROUP_ROWS = 16
"""Group size for sequences of unequal length; small, so that lengths are similar (measured on one core)."""

MISSING = -1
"""Start of a zero placeholder: its frames are all zero, and none is read from the table."""

MAX_GROUP_ROWS = 96
"""Largest group of sequences of equal length: fills a matrix product and fits into the cache."""


class Sequences(NamedTuple):
    """B sequences in one table of frames.

    The frames are on the device of the networks. Starts and lengths are on the host, so that the host never
    waits for a GPU to schedule the next operation.

    Attributes:
        frames: (N, D) float32; several sequences may share frames.
        start: (B,) int64, first frame of each sequence; -1 marks a zero placeholder.
        lengths: (B,) int64, number of frames of each sequence, at least 1.
    """

    frames: Tensor
    start: Tensor
    lengths: Tensor

    @property
    def present(self) -> Tensor:
        """Which sequences have frames: (B,) bool; the others are missing."""
        return self.start != MISSING

    def placeholder_lengths(self, steps: int) -> "Sequences":
        """Set the length of each missing sequence to that of the zero placeholder, `steps` frames."""
        return self._replace(lengths=torch.where(self.present, self.lengths, steps))

    def select(self, rows: Tensor) -> "Sequences":
        """Select the sequences `rows` (b,) int64, in this order, without copying frames."""
        return Sequences(self.frames, self.start[rows], self.lengths[rows])

    def with_placeholder(self, steps: int) -> "Sequences":
        """Append a zero placeholder of `steps` frames."""
        return Sequences(
            self.frames,
            torch.cat([self.start, self.start.new_tensor([MISSING])]),
            torch.cat([self.lengths, self.lengths.new_tensor([steps])]),
        )

    def padded(self, *, at_least: int = 1) -> Tensor:
        """Copy the frames into (T, B, D), padded with zeros; T is the longest length, at least `at_least`."""
        steps = torch.arange(max(int(self.lengths.max()), at_least))[:, None]
        inside = (steps < self.lengths) & (self.start != MISSING)  # (T, B)
        index = torch.where(inside, self.start + steps, 0).flatten()
        x = self.frames.index_select(0, to_device(index, self.frames)).view(*inside.shape, -1)
        return x if inside.all() else x.masked_fill_(to_device(~inside, self.frames)[..., None], 0)

    def means(self, first: Tensor, end: Tensor) -> Tensor:
        """Average n ranges of frames in each sequence; the result is undefined for a missing sequence.

        Args:
            first: (B, n) int64, first frame of each range, counted within the sequence.
            end: (B, n) int64, end of each range, exclusive.

        Returns:
            (B, n, D).
        """
        frames = (end - first).flatten()
        ends = frames.cumsum(0)
        within = torch.arange(int(ends[-1])) - (ends - frames).repeat_interleave(frames)
        index = (self.start.clamp_min(0)[:, None] + first).flatten().repeat_interleave(frames) + within
        means = nn.functional.embedding_bag(
            to_device(index, self.frames), self.frames, to_device(ends - frames, self.frames), mode="mean"
        )
        return means.view(*first.shape, -1)

    def by_length(self) -> Iterator[tuple[Tensor, "Sequences"]]:
        """Yield groups of equal or similar length, to keep padding small: rows (b,) and sequences."""
        order = torch.argsort(self.lengths, stable=True)
        lengths = self.lengths[order].tolist()
        first = 0
        for i in range(1, len(lengths) + 1):
            n = i - first
            new_length = i == len(lengths) or (n >= GROUP_ROWS and lengths[i] != lengths[first])
            if new_length or n == MAX_GROUP_ROWS:
                yield order[first:i], self.select(order[first:i])
                first = i


def from_padded(x: Tensor, lengths: Tensor | None = None) -> Sequences:
    """View a padded batch as sequences.

    Args:
        x: (B, T, D) float32.
        lengths: (B,) int64, number of valid frames; None: T for every sequence.

    Returns:
        The sequences; padding is never read.
    """
    B, T, D = x.shape
    return Sequences(
        x.reshape(B * T, D), torch.arange(B) * T, torch.full((B,), T) if lengths is None else lengths
    )


def placeholder(steps: int, size: int, like: Tensor) -> Sequences:
    """Make one zero placeholder of `steps` frames and `size` features, with device and dtype of `like`."""
    none = torch.zeros(0, dtype=torch.int64)
    return Sequences(like.new_zeros(1, size), none, none).with_placeholder(steps)


def to_device(x: Tensor, like: Tensor) -> Tensor:
    """Copy a small host tensor to the device of `like` without synchronising."""
    return x.to(like.device, non_blocking=True)


def kernels_usable(frames: Tensor) -> bool:
    """Whether the CPU kernels may run: full precision, no gradient of the frames, no ONNX export."""
    full_precision = not torch.is_autocast_enabled("cpu")
    unsupported = frames.requires_grad or torch.onnx.is_in_onnx_export()
    return frames.device.type == "cpu" and full_precision and not unsupported
