"""Sequences of unequal length without padding: a table of frames, and where in it each sequence lies."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

GROUP_ROWS = 16
"""Sequences of unequal length that run together: few enough to be of like length (measured on one core)."""

SILENCE = -1
"""As the start of a sequence: its frames are all zero, and none is read."""

MOST_ROWS = 96
"""Sequences of one length that run together: enough to fill a matrix product, few enough for the cache."""


class Sequences(NamedTuple):
    """B sequences that lie in one table of frames.

    The frames are where the networks are; where each sequence lies is known to the host, so that nothing
    waits for a GPU before it knows what to ask next.

    Attributes:
        frames: (N, D) float32, shared by as many sequences as one likes.
        start: (B,) int64, first frame of each; -1 is silence, whose frames are all zero.
        lengths: (B,) int64, number of frames of each, at least 1.
    """

    frames: Tensor
    start: Tensor
    lengths: Tensor

    @property
    def present(self) -> Tensor:
        """Which of the sequences have frames, (B,) bool; the others are missing."""
        return self.start != SILENCE

    def with_placeholder(self, steps: int) -> "Sequences":
        """Give each missing sequence the length of the zero placeholder, in frames."""
        return self._replace(lengths=torch.where(self.present, self.lengths, steps))

    def select(self, rows: Tensor) -> "Sequences":
        """Take the named sequences, (b,) int64, in that order; no frame is copied."""
        return Sequences(self.frames, self.start[rows], self.lengths[rows])

    def with_silence(self, steps: int) -> "Sequences":
        """Append a missing modality: one all-zero sequence of `steps` frames."""
        return Sequences(
            self.frames,
            torch.cat([self.start, self.start.new_tensor([SILENCE])]),
            torch.cat([self.lengths, self.lengths.new_tensor([steps])]),
        )

    def padded(self, *, at_least: int = 1) -> Tensor:
        """Copy the frames into (T, B, D), zeros behind each sequence; T is the longest, or `at_least`."""
        steps = torch.arange(max(int(self.lengths.max()), at_least))[:, None]
        inside = (steps < self.lengths) & (self.start != SILENCE)  # (T, B)
        which = torch.where(inside, self.start + steps, 0).flatten()
        x = self.frames.index_select(0, sent(which, self.frames)).view(*inside.shape, -1)
        return x if inside.all() else x.masked_fill_(sent(~inside, self.frames)[..., None], 0)

    def means(self, first: Tensor, behind: Tensor) -> Tensor:
        """Mean of some frames of each sequence; of silence, which has none, numbers without a meaning.

        Args:
            first: (B, n) int64, within the sequence: first frame of each of n means.
            behind: (B, n) int64, the frame behind its last.

        Returns:
            (B, n, D).
        """
        frames = (behind - first).flatten()
        ends = frames.cumsum(0)
        within = torch.arange(int(ends[-1])) - (ends - frames).repeat_interleave(frames)
        which = (self.start.clamp_min(0)[:, None] + first).flatten().repeat_interleave(frames) + within
        means = nn.functional.embedding_bag(
            sent(which, self.frames), self.frames, sent(ends - frames, self.frames), mode="mean"
        )
        return means.view(*first.shape, -1)

    def by_length(self) -> Iterator[tuple[Tensor, "Sequences"]]:
        """Yield groups of one length, or of like length: their rows (b,) and the sequences.

        Padding then costs next to nothing.
        """
        order = torch.argsort(self.lengths, stable=True)
        lengths = self.lengths[order].tolist()
        first = 0
        for i in range(1, len(lengths) + 1):
            n = i - first
            unlike = i == len(lengths) or (n >= GROUP_ROWS and lengths[i] != lengths[first])
            if unlike or n == MOST_ROWS:
                yield order[first:i], self.select(order[first:i])
                first = i


def from_padded(x: Tensor, lengths: Tensor | None = None) -> Sequences:
    """View a padded batch as sequences.

    Args:
        x: (B, T, D) float32.
        lengths: (B,) int64; all T where it is not given.

    Returns:
        The sequences; frames behind a length are never read.
    """
    B, T, D = x.shape
    return Sequences(
        x.reshape(B * T, D), torch.arange(B) * T, torch.full((B,), T) if lengths is None else lengths
    )


def silence(steps: int, size: int, like: Tensor) -> Sequences:
    """A missing modality: one all-zero sequence of `steps` frames of `size` numbers.

    It is where and of what type `like` is.
    """
    none = torch.zeros(0, dtype=torch.int64)
    return Sequences(like.new_zeros(1, size), none, none).with_silence(steps)


def sent(x: Tensor, like: Tensor) -> Tensor:
    """Send a small tensor of the host to where `like` is, without waiting for what runs there."""
    return x.to(like.device, non_blocking=True)


def by_hand(frames: Tensor) -> bool:
    """Whether forms written for a processor may serve.

    In full precision, without a gradient of the frames, and not while ONNX is traced.
    """
    in_full = not torch.is_autocast_enabled("cpu")
    plain = frames.requires_grad or torch.onnx.is_in_onnx_export()
    return frames.device.type == "cpu" and in_full and not plain
