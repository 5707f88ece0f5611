"""Initial weights."""

from torch import nn


def initialise(module: nn.Module) -> None:
    """Initialise linear and convolution weights with Kaiming normal (fan in, gain sqrt 2), biases with 0.

    LSTMs keep PyTorch's uniform default, including their biases. All are drawn from torch's global
    generator.

    Source:
        Released code: models/networks/tools.py, init_net with init_type "kaiming". Not stated in the paper.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d)):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
