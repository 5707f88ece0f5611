"""The CPU kernel for convolution maxima: same values and gradients as conv1d and amax."""

import pytest
import torch

from conftest import draw_sequences
from ifmmin.nn.kernels import convolution
from ifmmin.nn.sequences import Sequences, from_padded

HEIGHTS = [[3, 4, 5], [1], [2, 3], [6]]
each_heights = pytest.mark.parametrize("heights", HEIGHTS, ids=str)


def draw_filters(heights, size, filters=4):
    draw = torch.Generator().manual_seed(1)
    return [
        torch.randn(filters, size, k, dtype=torch.float64, generator=draw).requires_grad_() for k in heights
    ]


def draw_input(lengths, size=3):
    x = draw_sequences(lengths, size, torch.Generator().manual_seed(0))
    return x._replace(frames=x.frames.double())


def plain(x, filters):
    """Each sequence by itself: conv1d, padded with zeros if too short, then amax."""
    rows = []
    for start, length in zip(x.start.tolist(), x.lengths.tolist(), strict=True):
        frames = x.frames[start : start + length] if start >= 0 else x.frames.new_zeros(length, 1)
        frames = frames.expand(-1, x.frames.shape[1])
        rows.append(torch.cat([_largest(frames, weight) for weight in filters]))
    return torch.stack(rows)


def _largest(frames, weight):
    short = max(0, weight.shape[2] - len(frames))
    frames = torch.nn.functional.pad(frames.T[None], (0, short))
    return torch.nn.functional.conv1d(frames, weight)[0].amax(1)


def gradients(function, x, filters, cotangent):
    output = function(x, filters)
    return output, torch.autograd.grad((output * cotangent).sum(), filters)


@each_heights
@pytest.mark.parametrize("lengths", [[1], [7] * 20, [1, 2, 3, 22, 5, 6, 9] * 15], ids=len)
def test_maxima_and_gradients_are_those_of_conv1d_and_amax(heights, lengths):
    """Float64: Toom-Cook is exact up to rounding. Short, equal and ragged lengths, in several groups."""
    x, filters = draw_input(lengths).with_placeholder(4), draw_filters(heights, 3)
    cotangent = torch.randn(
        len(lengths) + 1,
        4 * len(heights),
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(2),
    )
    # All windows of the zero placeholder tie; its gradient is 0, however it is shared.
    output, gradient = gradients(convolution.maxima, x, filters, cotangent)
    expected, expected_gradient = gradients(plain, x, filters, cotangent)

    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    for a, b in zip(gradient, expected_gradient, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@each_heights
def test_the_gradient_agrees_with_finite_differences(heights):
    x, filters = draw_input([1, 4, 9, 9]), draw_filters(heights, 3, filters=2)

    assert torch.autograd.gradcheck(lambda *weights: convolution.maxima(x, weights), filters)


def test_tied_maxima_share_the_gradient():
    """A filter of zeros responds 0 to every window, so its gradient is the mean of the windows."""
    x = from_padded(torch.tensor([[[2.0, 5.0], [2.0, 7.0], [1.0, 9.0]]], dtype=torch.float64))
    weight = torch.zeros(1, 2, 2, dtype=torch.float64, requires_grad=True)

    convolution.maxima(x, [weight]).sum().backward()

    assert weight.grad[0].tolist() == [[2, 1.5], [6, 8]]


def test_frames_of_other_sequences_are_not_read():
    """Not even with weight zero: 0 x NaN is NaN."""
    filters = draw_filters([3, 5], 2)
    frames = torch.full((9, 2), torch.nan, dtype=torch.float64)
    frames[4:6] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    x = Sequences(frames, torch.tensor([4]), torch.tensor([2])).with_placeholder(3)

    output, gradient = gradients(convolution.maxima, x, filters, 1.0)

    assert output.isfinite().all()
    assert all(x.isfinite().all() for x in gradient)


def test_the_float32_error_is_below_5e_6_of_the_largest_response():
    """With the sizes of the paper's text encoder."""
    draw = torch.Generator().manual_seed(0)
    x = from_padded(torch.randn(8, 22, 1024, generator=draw))
    filters = [torch.randn(16, 1024, k, generator=draw) for k in (3, 4, 5)]

    output = convolution.maxima(x, filters)

    expected = plain(x._replace(frames=x.frames.double()), [weight.double() for weight in filters])
    assert (output - expected).abs().max() < 5e-6 * expected.abs().max()


def test_the_kernel_needs_a_cpu_full_precision_and_no_frame_gradient():
    frames = torch.zeros(1, 2)

    assert convolution.usable(frames, [3, 4, 5])
    assert not convolution.usable(frames, [7])
    assert not convolution.usable(frames.to("meta"), [3])
    assert not convolution.usable(frames.clone().requires_grad_(), [3])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not convolution.usable(frames, [3])
