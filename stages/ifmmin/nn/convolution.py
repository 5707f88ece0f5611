"""Convolutions over time and the maximum of their responses, on a processor, with few multiplications.

The plain form is conv1d and amax, as TextCNN has it: it serves elsewhere, and is the reference in tests. What
this one saves is in metrics/bench.

Forward, Toom-Cook: a run of responses of a filter is one product for each of some points of a polynomial,
fewer than windows times frames. Sequences and filters of every height go to the same points by small
matrices, and their products lead back by another. Rounding is about 4 times that of conv1d, relative to the
largest frame of a run.

Backward: of each filter only the windows of its maximum have a gradient, so that of the filters is a sparse
product.

Source:
    Winograd, "Arithmetic complexity of computations", 1980; for networks Lavin and Gray, CVPR 2016.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ifmmin.nn.sequences import SILENCE, Sequences, by_hand

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
"""And infinity. With more, runs are longer and float32 loses digits."""


def usable(frames: Tensor, heights: Sequence[int]) -> bool:
    """Whether this form serves: see `by_hand`; and runs of two responses or more."""
    return by_hand(frames) and max(heights) < len(POINTS)


def maxima(x: Sequences, filters: Sequence[Tensor]) -> Tensor:
    """Largest response of each filter to the windows of B sequences, as TextCNN defines them.

    Args:
        x: of D numbers a frame; their frames get no gradient.
        filters: weights of one conv1d for each height k: (F, D, k).

    Returns:
        (B, F x heights), without bias. Where maxima tie, they share the gradient.
    """
    found: Tensor = _Maxima.apply(x, torch.is_grad_enabled(), *filters)  # type: ignore[no-untyped-call]
    return found


class _Transform(NamedTuple):
    """Responses y of a filter w to frames x: y = back ((filters w) * (frames x)).

    Attributes:
        back: (windows, points x runs).
        frames: (points x runs, T).
        filters: (points, tallest).
    """

    back: Tensor
    frames: Tensor
    filters: Tensor


@cache
def _transform(T: int, shortest: int, tallest: int, dtype: torch.dtype) -> _Transform:
    """The matrices for T frames and filters of shortest to tallest; a shorter filter ends in zeros."""
    n = len(POINTS) + 1
    run = n + 1 - tallest  # responses that n products give
    even = _powers(tallest).norm(dim=1, keepdim=True)  # between the rows of both ways to the points
    windows = T - shortest + 1
    runs = -(-windows // run)
    back = torch.zeros(runs * run, n, runs, dtype=torch.float64)
    frames = torch.zeros(n, runs, runs * run + n, dtype=torch.float64)
    for r in range(runs):
        back[r * run : (r + 1) * run, :, r] = _powers(run).T
        frames[:, r, r * run : r * run + n] = torch.linalg.inv(_powers(n)).T * even
    made = (back[:windows].flatten(1), frames[..., :T].flatten(0, 1), _powers(tallest) / even)
    return _Transform(*(matrix.to(dtype).contiguous() for matrix in made))


def _powers(size: int) -> Tensor:
    """Powers 0 ... size - 1 of each point; of infinity, the leading coefficient alone."""
    points = torch.tensor(POINTS, dtype=torch.float64)[:, None]
    leading = torch.eye(size, dtype=torch.float64)[-1:]
    return torch.cat([points ** torch.arange(size), leading])


class _Maxima(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Sequences, keep: bool, *filters: Tensor) -> Tensor:  # noqa: ANN401
        heights = [of.shape[2] for of in filters]
        at_points = _at_points(filters)  # (points, D, F x heights)
        top = at_points.new_empty(len(x.lengths), at_points.shape[2])
        hits = []
        for rows, group in x.by_length():
            responses = _responses(group, at_points, heights)  # (windows, b, F x heights)
            top[rows] = best = responses.amax(0)
            if keep:
                hit = (responses == best).permute(2, 0, 1).contiguous()
                of, window, row = hit.nonzero().unbind(1)
                hits.append(torch.stack([of, rows[row], window]))
        ctx.x, ctx.heights, ctx.hits = x, heights, hits
        return top

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        of, row, window, share = _shares(torch.cat(ctx.hits, dim=1), gradient, ctx.x)
        n = gradient.shape[1] // len(ctx.heights)
        bounds = torch.searchsorted(of, torch.arange(gradient.shape[1] + 1))
        filters = []
        for i, k in enumerate(ctx.heights):
            ends = bounds[i * n : (i + 1) * n + 1]
            some = slice(int(ends[0]), int(ends[-1]))
            filters.append(_weighted_windows(ctx.x, k, row[some], window[some], share[some], ends - ends[0]))
        return None, None, *filters


def _at_points(filters: Sequence[Tensor]) -> Tensor:
    """Filters (F, D, k) of several heights at the points: (points, D, F x heights)."""
    heights = [of.shape[2] for of in filters]
    n, size, _ = filters[0].shape
    to_points = _transform(max(heights), min(heights), max(heights), filters[0].dtype).filters
    found = filters[0].new_empty(len(to_points), len(filters), n * size)
    for i, (k, of) in enumerate(zip(heights, filters, strict=True)):
        torch.mm(to_points[:, :k], of.detach().reshape(n * size, k).T, out=found[:, i])
    return found.view(len(to_points), len(filters) * n, size).transpose(1, 2)


def _responses(x: Sequences, filters: Tensor, heights: Sequence[int]) -> Tensor:
    """Responses of all filters in all windows, (windows, b, F x heights); -inf where there is no window."""
    frames = x.padded(at_least=max(heights))  # (T, b, D)
    T, b, size = frames.shape
    transform = _transform(T, min(heights), max(heights), filters.dtype)
    at_points = (transform.frames @ frames.view(T, b * size)).view(len(filters), -1, size)
    products = torch.bmm(at_points, filters)  # (points, runs x b, F x heights)
    found = (transform.back @ products.view(transform.back.shape[1], -1)).view(len(transform.back), b, -1)
    for k, responses in zip(heights, found.chunk(len(heights), dim=2), strict=True):
        windows = (x.lengths - k + 1).clamp_min(1)
        first = int(windows.min())
        behind = torch.arange(first, len(found))[:, None] >= windows
        responses[first:].masked_fill_(behind[..., None], -torch.inf)
    return found


def _shares(hits: Tensor, gradient: Tensor, x: Sequences) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Share the gradient (B, F x heights) among the maxima, ordered by filter: filter, row, window, share.

    Left out are those without a gradient and those of silence, whose frames give none.
    """
    of, row, window = hits[:, torch.argsort(hits[0], stable=True)]
    where = row * gradient.shape[1] + of
    share = gradient.flatten()[where]
    if len(where) > gradient.numel():  # some tie
        share = share / torch.bincount(where)[where]
    live = ((share != 0) & (x.start[row] != SILENCE)).nonzero().squeeze(1)
    return of[live], row[live], window[live], share[live]


def _weighted_windows(
    x: Sequences, k: int, row: Tensor, window: Tensor, share: Tensor, ends: Tensor
) -> Tensor:
    """Sum for each filter the windows between its ends, each with its share: (F, D, k)."""
    frame = window + torch.arange(k)[:, None]  # (k, windows)
    inside = frame < x.lengths[row]  # else a zero behind a short sequence
    frame = (x.start[row] + frame.where(inside, 0)).int()
    share = share.where(inside, 0)
    taps = [
        nn.functional.embedding_bag(
            of, x.frames, ends.int(), mode="sum", per_sample_weights=by, include_last_offset=True
        )
        for of, by in zip(frame, share, strict=True)
    ]
    return torch.stack(taps, dim=2)
