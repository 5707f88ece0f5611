"""The FLOP count of the benchmark, against hand calculations."""

import torch
from torch import nn

from bench.floor import flop
from ifmmin.nn.encoders import LSTMMaxPool, TextCNN
from ifmmin.nn.sequences import from_padded


def test_a_linear_layer_needs_each_weight_once_per_row():
    """3 rows, 5 x 2 weights: forward, gradient of the weights, and gradient of the input if required."""
    layer, x = nn.Linear(5, 2), torch.randn(3, 5)

    assert flop(lambda: layer(x)) == 2 * 2 * 30
    assert flop(lambda: layer(x.clone().requires_grad_())) == 3 * 2 * 30
    with torch.no_grad():
        assert flop(lambda: layer(x)) == 2 * 30


def test_a_recurrent_pool_needs_valid_frames_and_no_frame_gradient():
    """7 frames of 3 numbers, 4 units: 16 x 3 products for the input, 16 x 4 for the state."""
    encoder = LSTMMaxPool(size=3, hidden=4)
    x = from_padded(torch.randn(2, 5, 3), torch.tensor([5, 2]))

    assert flop(lambda: encoder.pool(x)) == 2 * 7 * (2 * (48 + 64) + 64)
    with torch.no_grad():
        assert flop(lambda: encoder.pool(x)) == 2 * 7 * (48 + 64)


def test_a_convolution_needs_all_windows_and_backward_one_per_filter():
    """Lengths 5 and 2, 4 filters: height 2 has 4 + 1 windows of 2 x 3 numbers; height 3 has 3 + 1."""
    encoder = TextCNN(size=3, hidden=4, kernel_heights=[2, 3], filters=4, dropout=0.0)
    x = from_padded(torch.randn(2, 5, 3), torch.tensor([5, 2]))
    forward = 5 * 4 * 6 + 4 * 4 * 9

    assert flop(lambda: encoder.pool(x)) == 2 * (forward + 2 * 4 * 6 + 2 * 4 * 9)
    with torch.no_grad():
        assert flop(lambda: encoder.pool(x)) == 2 * forward


def test_a_bidirectional_lstm_counts_twice():
    layer = nn.LSTM(3, 4, batch_first=True, bidirectional=True)

    assert flop(lambda: layer(torch.randn(2, 5, 3))) == 2 * 20 * (2 * (48 + 64) + 64)
