"""CPU kernel for training: maximum over time of the states of an LSTM, for sequences of unequal length.

LSTMMaxPool uses nn.LSTM on padded groups and amax where this kernel is not usable; they are also the
reference in tests. The kernel skips the steps on padding and the gradient with respect to the frames;
metrics/bench lists the time saved. Sequences are sorted by length, longest first, so that the sequences
active at a step are always the first ones. Frames are stored in this order, step by step.

Source:
    Hochreiter and Schmidhuber, 1997, with the gates i, f, g, o and the two biases of nn.LSTM.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ifmmin.nn.sequences import MISSING, Sequences, kernels_usable


def usable(frames: Tensor) -> bool:
    """Whether this kernel may run: see `kernels_usable`. Without gradients nn.LSTM is as fast."""
    return kernels_usable(frames) and torch.is_grad_enabled()


def maxima(x: Sequences, lstm: nn.LSTM) -> Tensor:
    """Largest state of each unit over the frames of B sequences: (B, hidden).

    Tied maxima share the gradient. The frames get no gradient.
    """
    order = torch.argsort(x.lengths, descending=True, stable=True)
    frames, steps = _by_step(x.select(order))
    w_ih, w_hh, b_ih, b_hh = lstm.all_weights[0]
    longest_first: Tensor = _Maxima.apply(frames, steps, w_ih, w_hh, b_ih + b_hh)  # type: ignore[no-untyped-call]
    return longest_first[torch.argsort(order)]


class _Steps(NamedTuple):
    """Index of N frames that are stored step by step.

    Attributes:
        sizes: number of sequences active at each step, non-increasing.
        before: (N - sizes[0],) int64, row of the previous step for each row from the second step on.
    """

    sizes: list[int]
    before: Tensor


def _by_step(x: Sequences) -> tuple[Tensor, _Steps]:
    """Copy the frames (N, D) of sequences sorted by length, longest first, into step order."""
    active = torch.arange(int(x.lengths[0]))[:, None] < x.lengths  # (T, B)
    sizes = active.sum(1)
    step, row = active.nonzero().unbind(1)
    is_placeholder = x.start[row] == MISSING
    frames = x.frames.index_select(0, (x.start[row] + step).where(~is_placeholder, 0))
    if is_placeholder.any():
        frames[is_placeholder] = 0
    later = slice(int(sizes[0]), None)
    before = torch.arange(len(row))[later] - sizes[step[later] - 1]
    return frames, _Steps(sizes.tolist(), before)


class _Maxima(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: Tensor,
        steps: _Steps,
        w_ih: Tensor,
        w_hh: Tensor,
        bias: Tensor,
    ) -> Tensor:
        batch_size, hidden = steps.sizes[0], w_hh.shape[1]
        # tanh(g) = 2 sigmoid(2 g) - 1, so that sigmoid serves all four gates.
        twice = w_hh.new_tensor([1, 1, 2, 1]).repeat_interleave(hidden)
        gates = torch.addmm(bias * twice, x, (w_ih * twice[:, None]).T)  # (N, 4 hidden)
        recurrent = (w_hh * twice[:, None]).T
        cells, states, squashed = (x.new_empty(len(x), hidden) for _ in range(3))
        c, h = x.new_zeros(batch_size, hidden), x.new_zeros(batch_size, hidden)
        top = x.new_full((batch_size, hidden), -torch.inf)
        by_step = _split(steps.sizes, gates, *gates.chunk(4, dim=1), cells, squashed, states)
        for b, (all_four, i, f, g, o, cell, squash, state) in zip(steps.sizes, by_step, strict=True):
            all_four.addmm_(h[:b], recurrent).sigmoid_()
            g.mul_(2).sub_(1)
            c = torch.mul(f, c[:b], out=cell).addcmul_(i, g)
            h = torch.mul(o, torch.tanh(c, out=squash), out=state)
            torch.maximum(top[:b], h, out=top[:b])
        ctx.save_for_backward(x, w_hh, gates, cells, squashed, states, top)
        ctx.steps = steps
        return top

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, w_hh, gates, cells, squashed, states, top = ctx.saved_tensors
        sizes, before = ctx.steps
        hidden = w_hh.shape[1]
        d_gates, d_cells = _local(gates, cells, squashed, states, ctx.steps)
        d_states = _at_maxima(gradient, states, top, sizes)
        d_ifg, d_o = d_gates[:, : 3 * hidden].view(len(x), 3, hidden), d_gates[:, 3 * hidden :]
        by_step = _split(sizes, d_states, d_cells, d_gates, d_ifg, d_o, gates.chunk(4, dim=1)[1])
        later = [table[:0] for table in by_step[-1]]  # no sequence is active after the last step
        for dh, dc, d_all, difg, do, f in reversed(by_step):
            _, dc_later, d_all_later, *_, f_later = later
            b = len(dc_later)
            dh[:b].addmm_(d_all_later, w_hh)
            dc.mul_(dh)[:b].addcmul_(dc_later, f_later)
            difg.mul_(dc[:, None])
            do.mul_(dh)
            later = [dh, dc, d_all, difg, do, f]
        return None, None, d_gates.T @ x, d_gates[sizes[0] :].T @ states[before], d_gates.sum(0)


def _split(sizes: list[int], *tables: Tensor) -> list[tuple[Tensor, ...]]:
    """Split the rows of each table by step."""
    return list(zip(*(torch.split(table, sizes) for table in tables), strict=True))


def _local(
    gates: Tensor, cells: Tensor, squashed: Tensor, states: Tensor, steps: _Steps
) -> tuple[Tensor, Tensor]:
    """Derivatives within each step.

    Returns:
        (N, 4 hidden): of the cell with respect to the pre-activations of i, f and g, and of the state with
            respect to that of o.
        (N, hidden): of the state with respect to the cell.
    """
    i, f, g, o = gates.chunk(4, dim=1)
    derivatives = torch.empty_like(gates)
    by_i, by_f, by_g, by_o = derivatives.chunk(4, dim=1)
    new = i * g
    kept = torch.zeros_like(cells)
    torch.mul(cells[steps.before], f[steps.sizes[0] :], out=kept[steps.sizes[0] :])
    torch.addcmul(new, new, i, value=-1, out=by_i)  # i (1 - i) g
    torch.addcmul(kept, kept, f, value=-1, out=by_f)  # f (1 - f) c of the previous step
    torch.addcmul(i, new, g, value=-1, out=by_g)  # i (1 - g^2)
    torch.addcmul(states, states, o, value=-1, out=by_o)  # o (1 - o) tanh(c)
    return derivatives, torch.addcmul(o, states, squashed, value=-1)  # o (1 - tanh(c)^2)


def _at_maxima(gradient: Tensor, states: Tensor, top: Tensor, sizes: list[int]) -> Tensor:
    """Gradient of each state (N, hidden) through the maximum; tied maxima share it."""
    hits = torch.empty_like(states)
    ties = torch.zeros_like(top)
    by_step = _split(sizes, hits, states)
    for hit, state in by_step:
        torch.eq(state, top[: len(hit)], out=hit)
        ties[: len(hit)].add_(hit)
    share = gradient / ties
    for hit, _ in by_step:
        hit.mul_(share[: len(hit)])
    return hits
