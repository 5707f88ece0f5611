"""The classifier: three fully connected layers. Paper, section 3.1."""

from torch import Tensor, nn


class Classifier(nn.Module):
    """Linear, ReLU and dropout in each hidden layer, then a linear map to the classes; no batch norm.

    Source:
        Paper, section 3.1 (128, 128, 4). Released code: models/networks/classifier.py, class FcClassifier.
    """

    def __init__(self, *, size: int, layers: list[int], n_classes: int, dropout: float) -> None:
        """Build for `size` input features; `layers` lists the widths of the hidden layers."""
        super().__init__()
        modules: list[nn.Module] = []
        for n_in, n_out in zip([size, *layers], layers, strict=False):
            modules += [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(dropout)]
        self.hidden = nn.Sequential(*modules)
        self.out = nn.Linear(layers[-1], n_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, size) to the logits O (B, n_classes)."""
        O: Tensor = self.out(self.hidden(features))  # noqa: E741 - the paper's letter for the logits
        return O
