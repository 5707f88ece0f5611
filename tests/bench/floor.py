"""The arithmetic that a piece of work cannot do without: FLOPs of its matrix products, counted as it runs.

Counted are the frames and utterances that reach a layer, so padding and what is encoded twice count only
where they are; a convolution counts as a direct one, and backward its filters' maxima alone. Element by
element work, optimiser and losses are left out.
"""

from contextlib import ExitStack
from unittest import mock

import torch
from torch import nn

from ifmmin.nn.encoders import LSTMMaxPool, TextCNN


class _Count:
    """Multiplications and additions so far."""

    def __init__(self):
        self.products, self.inside = 0, False

    def add(self, forward, weights, inputs):
        """Products forward; backward those for the weights, and those that lead the gradient on."""
        if not self.inside:
            self.products += forward + (weights + inputs if torch.is_grad_enabled() else 0)


def flop(work):
    """Run some work; twice the products of its layers, forward and backward."""
    count = _Count()
    pools = {LSTMMaxPool: _recurrent_pool, TextCNN: _convolutional_pool}
    with ExitStack() as stack:
        for owner, of in pools.items():
            stack.enter_context(mock.patch.object(owner, "pool", _around(count, owner.pool, of)))
        for owner, of in {nn.Linear: _linear, nn.LSTM: _lstm}.items():
            stack.enter_context(mock.patch.object(owner, "forward", _around(count, owner.forward, of)))
        work()
    return 2 * count.products


def _around(count, original, products):
    """Count what a layer needs, and nothing of what it asks others to do for it."""

    def counted(layer, x, *rest):
        count.add(*products(layer, x))
        inside, count.inside = count.inside, True
        try:
            return original(layer, x, *rest)
        finally:
            count.inside = inside

    return counted


def _linear(layer, x):
    products = x.numel() // layer.in_features * layer.weight.numel()
    return products, products, products if x.requires_grad else 0


def _lstm(layer, x):
    steps = x.numel() // layer.input_size * (2 if layer.bidirectional else 1)
    by_input, by_state = (
        steps * size * 4 * layer.hidden_size for size in (layer.input_size, layer.hidden_size)
    )
    return by_input + by_state, by_input + by_state, by_state + (by_input if x.requires_grad else 0)


def _recurrent_pool(layer, x):
    frames, of = int(x.lengths.sum()), layer.lstm
    by_input, by_state = (frames * size * 4 * of.hidden_size for size in (of.input_size, of.hidden_size))
    return by_input + by_state, by_input + by_state, by_state


def _convolutional_pool(layer, x):
    forward = weights = 0
    for of in layer.convolutions:
        windows = (x.lengths - of.kernel_size[0] + 1).clamp_min(1)
        forward += int(windows.sum()) * of.weight.numel()
        weights += len(windows) * of.weight.numel()  # one window for each filter
    return forward, weights, 0
