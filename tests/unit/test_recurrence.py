"""The kernel for maxima of LSTM states has the values and gradients of nn.LSTM and amax."""

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
    """Reference: one sequence at a time."""
    rows = []
    for start, length in zip(x.start.tolist(), x.lengths.tolist(), strict=True):
        frames = x.frames[start : start + length] if start >= 0 else x.frames.new_zeros(length, SIZE)
        rows.append(lstm(frames)[0].amax(0))
    return torch.stack(rows)


def values_and_gradients(function, x, lstm, cotangent):
    maxima = function(x, lstm)
    return maxima, torch.autograd.grad((maxima * cotangent).sum(), list(lstm.parameters()))


@pytest.mark.parametrize("lengths", [[1], [6] * 5, [2, 1, 17, 5, 5, 9, 1]], ids=str)
def test_maxima_and_gradients_agree_with_nn_lstm_and_amax(lstm, lengths):
    x = drawn(lengths).with_placeholder(4)
    draw = torch.Generator().manual_seed(2)
    cotangent = torch.randn(len(lengths) + 1, HIDDEN, dtype=torch.float64, generator=draw)

    maxima, got = values_and_gradients(recurrence.maxima, x, lstm, cotangent)
    expected, want = values_and_gradients(plain, x, lstm, cotangent)

    torch.testing.assert_close(maxima, expected, rtol=0, atol=1e-12)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_gradient_agrees_with_finite_differences(lstm):
    x = drawn([5, 2, 1])

    parameters = [p.detach().clone().requires_grad_() for p in lstm.parameters()]
    assert torch.autograd.gradcheck(lambda *p: _functional(x, p), parameters)


def _functional(x, parameters):
    """Maxima as a function of the layer's parameters."""

    class Layer:
        all_weights = (parameters,)

    return recurrence.maxima(x, Layer)


def test_tied_states_share_the_gradient(lstm):
    """A constant input drives the cell to a fixed point, after which all states are equal."""
    with torch.no_grad():
        lstm.weight_hh_l0.zero_()
        lstm.bias_ih_l0[HIDDEN : 2 * HIDDEN] = -30  # forget the cell state
    x = from_padded(torch.ones(2, 30, SIZE, dtype=torch.float64))
    cotangent = torch.tensor([[1.0], [2.0]])
    assert len(set(lstm(x.frames[:30])[0][-20:, 0].tolist())) == 1

    _, got = values_and_gradients(recurrence.maxima, x, lstm, cotangent)
    _, want = values_and_gradients(plain, x, lstm, cotangent)

    assert want[0].abs().max() > 1e-3
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_frames_of_other_sequences_are_not_read(lstm):
    frames = torch.full((9, SIZE), torch.nan, dtype=torch.float64)
    frames[4:6] = 1
    x = Sequences(frames, torch.tensor([4]), torch.tensor([2])).with_placeholder(3)

    maxima, got = values_and_gradients(recurrence.maxima, x, lstm, 1.0)

    assert maxima.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in got)


def test_the_kernel_needs_a_cpu_full_precision_and_no_frame_gradient():
    frames = torch.zeros(1, 2)

    assert recurrence.usable(frames)
    assert not recurrence.usable(frames.to("meta"))
    assert not recurrence.usable(frames.clone().requires_grad_())
    with torch.no_grad():
        assert not recurrence.usable(frames)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not recurrence.usable(frames)
