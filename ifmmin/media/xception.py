"""The network mini-Xception in torch, with weights from a Keras 2 file.

Keras names layers by kind and number, in order of creation. With stride 2 and an even image size, Keras's
`padding="same"` pads one more row below than above, and one more column on the right than on the left.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE, FEATURES, CLASSES = 64, 128, 7
"""Side of the image in pixels; channels of the last feature map; number of expressions."""

WIDTHS = (16, 32, 64, FEATURES)

KERAS_TO_TORCH = {
    "kernel": ("weight", (3, 2, 0, 1)),
    "depthwise_kernel": ("0.weight", (2, 3, 0, 1)),
    "pointwise_kernel": ("1.weight", (3, 2, 0, 1)),
    "bias": ("bias", (0,)),
    "gamma": ("weight", (0,)),
    "beta": ("bias", (0,)),
    "moving_mean": ("running_mean", (0,)),
    "moving_variance": ("running_var", (0,)),
}
"""Keras's name of a weight to torch's name and the permutation of its axes."""


class Block(nn.Module):
    """Two separable convolutions with pooling, plus a 1x1 convolution as shortcut; both halve the image."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Create the layers for the numbers of input and output channels."""
        super().__init__()
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), _norm(outputs))
        self.first = nn.Sequential(*_separable(inputs, outputs), _norm(outputs))
        self.second = nn.Sequential(*_separable(outputs, outputs), _norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, n, n) to (B, outputs, n / 2 rounded up, n / 2 rounded up)."""
        deep = self.second(torch.relu(self.first(x)))
        n = x.shape[-1]
        padding = 2 * ((n + 1) // 2 - 1) + 3 - n
        padded = functional.pad(deep, [padding // 2, padding - padding // 2] * 2, value=-torch.inf)
        halved: Tensor = functional.max_pool2d(padded, 3, stride=2) + self.shortcut(x)
        return halved


class Network(nn.Module):
    """The whole network."""

    def __init__(self) -> None:
        """Create the network with random weights."""
        super().__init__()
        convolutions = (nn.Conv2d(1, 8, 3, bias=False), nn.Conv2d(8, 8, 3, bias=False))
        self.stem = nn.Sequential(*(m for c in convolutions for m in (c, _norm(8), nn.ReLU())))
        self.blocks = nn.Sequential(*(Block(*pair) for pair in zip((8, *WIDTHS[:-1]), WIDTHS, strict=True)))
        self.last = nn.Conv2d(FEATURES, CLASSES, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and expressions of grey-scale faces.

        Args:
            x: (B, 1, 64, 64) float32, from -1 (black) to 1 (white).

        Returns:
            (B, 128) float32, the last feature map averaged over the face; (B, 7), probabilities of the
            expressions.
        """
        features = self.blocks(self.stem(x))  # (B, 128, 4, 4)
        return features.mean((2, 3)), self.last(features).mean((2, 3)).softmax(1)


def load(path: Path) -> Network:
    """Load the network with the weights of a Keras file."""
    network = Network()
    with h5py.File(path, "r") as file, torch.no_grad():
        for name, module in _named(network):
            group = file["model_weights"][name]
            [inner] = group.values()  # Keras repeats the name, numbered
            _fill(module, {key.partition(":")[0]: np.asarray(value) for key, value in inner.items()})
    return network.eval()


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)  # Keras's default, not torch's


def _separable(inputs: int, outputs: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    """Create a depthwise and a pointwise convolution."""
    return (
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
    )


def _named(network: Network) -> list[tuple[str, Any]]:
    """Return each Keras layer name with the module that receives its weights."""
    convolutions, separables = [network.stem[0], network.stem[3]], []
    norms = [network.stem[1], network.stem[4]]
    for block in network.blocks:
        assert isinstance(block, Block)  # noqa: S101 - for mypy
        convolutions.append(block.shortcut[0])
        separables += [block.first[:2], block.second[:2]]
        norms += [block.shortcut[1], block.first[2], block.second[2]]
    kinds = {
        "conv2d": [*convolutions, network.last],
        "separable_conv2d": separables,
        "batch_normalization": norms,
    }
    return [(f"{kind}_{n}", m) for kind, modules in kinds.items() for n, m in enumerate(modules, 1)]


def _fill(module: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """Copy a layer's weights; a Keras kernel is [height, width, in, out]."""
    state = module.state_dict()  # shares memory with the module
    for name, value in weights.items():
        torch_name, order = KERAS_TO_TORCH[name]
        state[torch_name].copy_(torch.from_numpy(np.transpose(value, order).copy()))
