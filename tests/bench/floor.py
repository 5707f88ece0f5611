"""Lower bound of the arithmetic of a function: FLOPs of its matrix products, counted while it runs.

Only frames and utterances that reach a layer count, so padding and repeated encoding count if they occur. A
convolution counts as a direct one; its backward pass counts only the maxima of its filters. Element-wise
operations, optimiser and losses do not count.
"""

from contextlib import ExitStack
from unittest import mock

import torch
from torch import nn

from ifmmin.nn.encoders import LSTMMaxPool, TextCNN


class _Count:
    """The number of multiplications so far."""

    def __init__(self):
        self.products, self.inside = 0, False

    def add(self, forward, weights, inputs):
        """Add the products of the forward pass and, for gradients, of weights and inputs."""
        if not self.inside:
            self.products += forward + (weights + inputs if torch.is_grad_enabled() else 0)


def flop(work):
    """Run a function and return twice the products of its layers, forward and backward."""
    count = _Count()
    pools = {LSTMMaxPool: _recurrent_pool, TextCNN: _convolutional_pool}
    with ExitStack() as stack:
        for owner, products in pools.items():
            stack.enter_context(mock.patch.object(owner, "pool", _around(count, owner.pool, products)))
        for owner, products in {nn.Linear: _linear, nn.LSTM: _lstm}.items():
            stack.enter_context(mock.patch.object(owner, "forward", _around(count, owner.forward, products)))
        work()
    return 2 * count.products


def _around(count, original, products):
    """Count the products of a layer, but not those of the layers that it calls."""

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
    lstm, frames = layer.lstm, int(x.lengths.sum())
    inputs, states = (frames * size * 4 * lstm.hidden_size for size in (lstm.input_size, lstm.hidden_size))
    return inputs + states, inputs + states, states


def _convolutional_pool(layer, x):
    forward = weights = 0
    for convolution in layer.convolutions:
        windows = (x.lengths - convolution.kernel_size[0] + 1).clamp_min(1)
        forward += int(windows.sum()) * convolution.weight.numel()
        weights += len(windows) * convolution.weight.numel()  # one window for each filter
    return forward, weights, 0
