"""Initial weights."""

from torch import nn


def initialise(module: nn.Module) -> None:
    """Draw every linear and convolution weight from Kaiming's normal (fan in, gain sqrt 2), biases 0.

    LSTMs keep PyTorch's uniform default, biases included. Drawn from the global generator.

    Source:
        Released code: models/networks/tools.py, init_net with init_type "kaiming". The paper is silent.
    """
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv1d)):
            nn.init.kaiming_normal_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
