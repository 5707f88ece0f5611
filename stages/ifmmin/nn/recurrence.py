"""An LSTM over sequences of unequal length and the maximum of its states, on a processor, for training.

The plain form is nn.LSTM over padded groups and amax, as LSTMMaxPool has it: it serves elsewhere, and is the
reference in tests. What this one saves is in metrics/bench: no step is computed behind an end, and no
gradient of the frames. The longest sequences come first, so that those which still run at a step are the
first ones; all frames lie in this order, step after step.

Source:
    Hochreiter and Schmidhuber, 1997, with the gates i, f, g, o and the two biases of nn.LSTM.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ifmmin.nn.sequences import SILENCE, Sequences, by_hand


def usable(frames: Tensor) -> bool:
    """Whether this form serves: see `by_hand`; and a gradient is wanted, else nn.LSTM is as fast."""
    return by_hand(frames) and torch.is_grad_enabled()


def maxima(x: Sequences, lstm: nn.LSTM) -> Tensor:
    """Largest state of each unit of a layer over the frames of B sequences: (B, hidden).

    Where maxima tie, they share the gradient. The frames get none.
    """
    order = torch.argsort(x.lengths, descending=True, stable=True)
    frames, steps = _by_step(x.select(order))
    w_ih, w_hh, b_ih, b_hh = lstm.all_weights[0]
    longest_first: Tensor = _Maxima.apply(frames, steps, w_ih, w_hh, b_ih + b_hh)  # type: ignore[no-untyped-call]
    return longest_first[torch.argsort(order)]


class _Steps(NamedTuple):
    """Rows of N frames that lie step after step.

    Attributes:
        sizes: sequences that run at each step, falling.
        before: (N - sizes[0],) int64, row of the step before, for each row from the second step on.
    """

    sizes: list[int]
    before: Tensor


def _by_step(x: Sequences) -> tuple[Tensor, _Steps]:
    """Copy the frames (N, D) of sequences, the longest first, in the order in which they are read."""
    runs = torch.arange(int(x.lengths[0]))[:, None] < x.lengths  # (T, B)
    sizes = runs.sum(1)
    step, row = runs.nonzero().unbind(1)
    silent = x.start[row] == SILENCE
    frames = x.frames.index_select(0, (x.start[row] + step).where(~silent, 0))
    if silent.any():
        frames[silent] = 0
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
        most, hidden = steps.sizes[0], w_hh.shape[1]
        # tanh(g) = 2 sigmoid(2 g) - 1: one function for all four gates.
        twice = w_hh.new_tensor([1, 1, 2, 1]).repeat_interleave(hidden)
        gates = torch.addmm(bias * twice, x, (w_ih * twice[:, None]).T)  # (N, 4 hidden)
        recurrent = (w_hh * twice[:, None]).T
        cells, states, squashed = (x.new_empty(len(x), hidden) for _ in range(3))
        c, h = x.new_zeros(most, hidden), x.new_zeros(most, hidden)
        top = x.new_full((most, hidden), -torch.inf)
        at = _split(steps.sizes, gates, *gates.chunk(4, dim=1), cells, squashed, states)
        for b, (all_four, i, f, g, o, cell, squash, state) in zip(steps.sizes, at, strict=True):
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
        at = _split(sizes, d_states, d_cells, d_gates, d_ifg, d_o, gates.chunk(4, dim=1)[1])
        later = [of[:0] for of in at[-1]]  # the step behind the last runs no sequence
        for dh, dc, d_all, difg, do, f in reversed(at):
            _, dc_later, d_all_later, *_, f_later = later
            b = len(dc_later)
            dh[:b].addmm_(d_all_later, w_hh)
            dc.mul_(dh)[:b].addcmul_(dc_later, f_later)
            difg.mul_(dc[:, None])
            do.mul_(dh)
            later = [dh, dc, d_all, difg, do, f]
        return None, None, d_gates.T @ x, d_gates[sizes[0] :].T @ states[before], d_gates.sum(0)


def _split(sizes: list[int], *tables: Tensor) -> list[tuple[Tensor, ...]]:
    """Rows of each table, step after step."""
    return list(zip(*(torch.split(of, sizes) for of in tables), strict=True))


def _local(
    gates: Tensor, cells: Tensor, squashed: Tensor, states: Tensor, steps: _Steps
) -> tuple[Tensor, Tensor]:
    """Derivatives within each step.

    Returns:
        (N, 4 hidden): of the cell by what enters gates i, f and g, of the state by what enters o.
        (N, hidden): of the state by the cell.
    """
    i, f, g, o = gates.chunk(4, dim=1)
    derivatives = torch.empty_like(gates)
    by_i, by_f, by_g, by_o = derivatives.chunk(4, dim=1)
    new = i * g
    kept = torch.zeros_like(cells)
    torch.mul(cells[steps.before], f[steps.sizes[0] :], out=kept[steps.sizes[0] :])
    torch.addcmul(new, new, i, value=-1, out=by_i)  # i (1 - i) g
    torch.addcmul(kept, kept, f, value=-1, out=by_f)  # f (1 - f) c of the step before
    torch.addcmul(i, new, g, value=-1, out=by_g)  # i (1 - g^2)
    torch.addcmul(states, states, o, value=-1, out=by_o)  # o (1 - o) tanh(c)
    return derivatives, torch.addcmul(o, states, squashed, value=-1)  # o (1 - tanh(c)^2)


def _at_maxima(gradient: Tensor, states: Tensor, top: Tensor, sizes: list[int]) -> Tensor:
    """Gradient of each state (N, hidden) through the maximum; ties share it."""
    hits = torch.empty_like(states)
    ties = torch.zeros_like(top)
    at = _split(sizes, hits, states)
    for hit, state in at:
        torch.eq(state, top[: len(hit)], out=hit)
        ties[: len(hit)].add_(hit)
    share = gradient / ties
    for hit, _ in at:
        hit.mul_(share[: len(hit)])
    return hits
