"""CPU kernel: maximum over time of convolutions, with fewer multiplications than conv1d.

TextCNN uses conv1d and amax where this kernel is not usable; they are also the reference in tests.
metrics/bench lists the time saved.

Forward (Toom-Cook): a run of consecutive responses of a filter is a polynomial product, computed from its
values at a few points; this takes fewer multiplications than windows times kernel height. Small matrices
evaluate frames and filters of all heights at the same points and interpolate the responses from the products.
The rounding error is about 4 times that of conv1d, relative to the largest frame of a run.

Backward: only the windows of the maxima contribute to the gradient of the filters, so it is a sparse product.

Source:
    Winograd, "Arithmetic complexity of computations", 1980; for networks Lavin and Gray, CVPR 2016.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ifmmin.nn.sequences import MISSING, Sequences, kernels_usable

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
"""Evaluation points, besides infinity. More points make runs longer but cost precision in float32."""


def usable(frames: Tensor, heights: Sequence[int]) -> bool:
    """Whether this kernel may run: see `kernels_usable`; a run needs at least two responses."""
    return kernels_usable(frames) and max(heights) < len(POINTS)


def maxima(x: Sequences, filters: Sequence[Tensor]) -> Tensor:
    """Largest response of each filter to the windows of B sequences; TextCNN defines the windows.

    Args:
        x: B sequences of D features; the frames get no gradient.
        filters: weights of one conv1d for each kernel height k: (F, D, k).

    Returns:
        (B, F x heights), without bias. Tied maxima share the gradient.
    """
    largest: Tensor = _Maxima.apply(x, torch.is_grad_enabled(), *filters)  # type: ignore[no-untyped-call]
    return largest


class _Transform(NamedTuple):
    """Matrices that give the responses y of a filter w to frames x: y = back ((filters w) * (frames x)).

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
    """Compute the matrices for T frames and kernel heights `shortest` to `tallest`."""
    n = len(POINTS) + 1
    run = n + 1 - tallest  # responses from n products
    scale = _powers(tallest).norm(dim=1, keepdim=True)  # balances the rows of `frames` and `filters`
    windows = T - shortest + 1
    runs = -(-windows // run)
    back = torch.zeros(runs * run, n, runs, dtype=torch.float64)
    frames = torch.zeros(n, runs, runs * run + n, dtype=torch.float64)
    for r in range(runs):
        back[r * run : (r + 1) * run, :, r] = _powers(run).T
        frames[:, r, r * run : r * run + n] = torch.linalg.inv(_powers(n)).T * scale
    matrices = (back[:windows].flatten(1), frames[..., :T].flatten(0, 1), _powers(tallest) / scale)
    return _Transform(*(matrix.to(dtype).contiguous() for matrix in matrices))


def _powers(size: int) -> Tensor:
    """Powers 0 ... size - 1 of each point; infinity selects the leading coefficient."""
    points = torch.tensor(POINTS, dtype=torch.float64)[:, None]
    leading = torch.eye(size, dtype=torch.float64)[-1:]
    return torch.cat([points ** torch.arange(size), leading])


class _Maxima(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Sequences, keep: bool, *filters: Tensor) -> Tensor:  # noqa: ANN401
        heights = [weight.shape[2] for weight in filters]
        at_points = _at_points(filters)  # (points, D, F x heights)
        top = at_points.new_empty(len(x.lengths), at_points.shape[2])
        hits = []
        for rows, group in x.by_length():
            responses = _responses(group, at_points, heights)  # (windows, b, F x heights)
            top[rows] = best = responses.amax(0)
            if keep:
                hit = (responses == best).permute(2, 0, 1).contiguous()
                unit, window, row = hit.nonzero().unbind(1)
                hits.append(torch.stack([unit, rows[row], window]))
        ctx.x, ctx.heights, ctx.hits = x, heights, hits
        return top

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        unit, row, window, share = _shares(torch.cat(ctx.hits, dim=1), gradient, ctx.x)
        n = gradient.shape[1] // len(ctx.heights)
        bounds = torch.searchsorted(unit, torch.arange(gradient.shape[1] + 1))
        filters = []
        for i, k in enumerate(ctx.heights):
            ends = bounds[i * n : (i + 1) * n + 1]
            hits = slice(int(ends[0]), int(ends[-1]))
            filters.append(_weighted_windows(ctx.x, k, row[hits], window[hits], share[hits], ends - ends[0]))
        return None, None, *filters


def _at_points(filters: Sequence[Tensor]) -> Tensor:
    """Evaluate filters (F, D, k) of several heights at the points: (points, D, F x heights)."""
    heights = [weight.shape[2] for weight in filters]
    n, size, _ = filters[0].shape
    to_points = _transform(max(heights), min(heights), max(heights), filters[0].dtype).filters
    at_points = filters[0].new_empty(len(to_points), len(filters), n * size)
    for i, (k, weight) in enumerate(zip(heights, filters, strict=True)):
        torch.mm(to_points[:, :k], weight.detach().reshape(n * size, k).T, out=at_points[:, i])
    return at_points.view(len(to_points), len(filters) * n, size).transpose(1, 2)


def _responses(x: Sequences, filters: Tensor, heights: Sequence[int]) -> Tensor:
    """Responses of all filters in all windows: (windows, b, F x heights); -inf marks padding."""
    frames = x.padded(at_least=max(heights))  # (T, b, D)
    T, b, size = frames.shape
    transform = _transform(T, min(heights), max(heights), filters.dtype)
    at_points = (transform.frames @ frames.view(T, b * size)).view(len(filters), -1, size)
    products = torch.bmm(at_points, filters)  # (points, runs x b, F x heights)
    interpolated = (transform.back @ products.view(transform.back.shape[1], -1)).view(
        len(transform.back), b, -1
    )
    for k, responses in zip(heights, interpolated.chunk(len(heights), dim=2), strict=True):
        windows = (x.lengths - k + 1).clamp_min(1)
        first = int(windows.min())
        padding = torch.arange(first, len(responses))[:, None] >= windows
        responses[first:].masked_fill_(padding[..., None], -torch.inf)
    return interpolated


def _shares(hits: Tensor, gradient: Tensor, x: Sequences) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Share the gradient (B, F x heights) among the maxima, ordered by unit: unit, row, window, share.

    Maxima with zero gradient and maxima in the zero placeholder are left out; they contribute nothing.
    """
    unit, row, window = hits[:, torch.argsort(hits[0], stable=True)]
    position = row * gradient.shape[1] + unit
    share = gradient.flatten()[position]
    if len(position) > gradient.numel():  # some maxima are tied
        share = share / torch.bincount(position)[position]
    active = ((share != 0) & (x.start[row] != MISSING)).nonzero().squeeze(1)
    return unit[active], row[active], window[active], share[active]


def _weighted_windows(
    x: Sequences, k: int, row: Tensor, window: Tensor, share: Tensor, ends: Tensor
) -> Tensor:
    """Sum the windows between the ends of each filter, weighted by their shares: (F, D, k)."""
    frame = window + torch.arange(k)[:, None]  # (k, windows)
    inside = frame < x.lengths[row]  # otherwise padding of a short sequence
    frame = (x.start[row] + frame.where(inside, 0)).int()
    share = share.where(inside, 0)
    taps = [
        nn.functional.embedding_bag(
            index, x.frames, ends.int(), mode="sum", per_sample_weights=weights, include_last_offset=True
        )
        for index, weights in zip(frame, share, strict=True)
    ]
    return torch.stack(taps, dim=2)
