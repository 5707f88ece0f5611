"""The maxima of LSTM states, written by hand: the same numbers and gradients as nn.LSTM and amax."""

import pytest
import torch
from torch import nn

from conftest import draw_sequences
from ifmmin.nn.kernels import recurrence
from ifmmin.nn.sequences import Sequences, from_padded

SIZE, HIDDEN = 3, 4


@pytest.fixture
def lstm():
    torch.manual_seed(0)
    return nn.LSTM(SIZE, HIDDEN).double()


def drawn(lengths):
    x = draw_sequences(lengths, SIZE, torch.Generator().manual_seed(0))
    return x._replace(frames=x.frames.double())


def plain(x, lstm):
    """One sequence after the other."""
    rows = []
    for start, length in zip(x.start.tolist(), x.lengths.tolist(), strict=True):
        frames = x.frames[start : start + length] if start >= 0 else x.frames.new_zeros(length, SIZE)
        rows.append(lstm(frames)[0].amax(0))
    return torch.stack(rows)


def gradients(function, x, lstm, cotangent):
    found = function(x, lstm)
    return found, torch.autograd.grad((found * cotangent).sum(), list(lstm.parameters()))


@pytest.mark.parametrize("lengths", [[1], [6] * 5, [2, 1, 17, 5, 5, 9, 1]], ids=str)
def test_maxima_and_gradients_are_those_of_nn_lstm_and_amax(lstm, lengths):
    x = drawn(lengths).with_placeholder(4)
    draw = torch.Generator().manual_seed(2)
    cotangent = torch.randn(len(lengths) + 1, HIDDEN, dtype=torch.float64, generator=draw)

    found, got = gradients(recurrence.maxima, x, lstm, cotangent)
    expected, want = gradients(plain, x, lstm, cotangent)

    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_gradient_agrees_with_finite_differences(lstm):
    x = drawn([5, 2, 1])

    given = [p.detach().clone().requires_grad_() for p in lstm.parameters()]
    assert torch.autograd.gradcheck(lambda *p: _functional(x, p), given)


def _functional(x, parameters):
    """The layer's maxima as a function of its parameters."""

    class Layer:
        all_weights = (parameters,)

    return recurrence.maxima(x, Layer)


def test_states_that_tie_share_the_gradient(lstm):
    """One constant frame drives the cell to a fixed point: from some step on all states are one number."""
    with torch.no_grad():
        lstm.weight_hh_l0.zero_()
        lstm.bias_ih_l0[HIDDEN : 2 * HIDDEN] = -30  # nothing of the cell is kept
    x = from_padded(torch.ones(2, 30, SIZE, dtype=torch.float64))
    cotangent = torch.tensor([[1.0], [2.0]])
    assert len(set(lstm(x.frames[:30])[0][-20:, 0].tolist())) == 1

    _, got = gradients(recurrence.maxima, x, lstm, cotangent)
    _, want = gradients(plain, x, lstm, cotangent)

    assert want[0].abs().max() > 1e-3
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_frames_of_others_are_not_read(lstm):
    frames = torch.full((9, SIZE), torch.nan, dtype=torch.float64)
    frames[4:6] = 1
    x = Sequences(frames, torch.tensor([4]), torch.tensor([2])).with_placeholder(3)

    found, got = gradients(recurrence.maxima, x, lstm, 1.0)

    assert found.isfinite().all()
    assert all(of.isfinite().all() for of in got)


def test_it_serves_a_processor_in_full_precision_where_a_gradient_is_wanted():
    frames = torch.zeros(1, 2)

    assert recurrence.usable(frames)
    assert not recurrence.usable(frames.to("meta"))
    assert not recurrence.usable(frames.clone().requires_grad_())
    with torch.no_grad():
        assert not recurrence.usable(frames)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not recurrence.usable(frames)
