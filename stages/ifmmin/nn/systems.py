"""What the training loop asks of a network, whether it is pretraining or a row of Table 1."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from ifmmin.nn.sequences import Sequences


class Batch(NamedTuple):
    """Some training utterances.

    Attributes:
        x: modality to B sequences of raw (acoustic: scaled) features, the full input.
        available: (B, 3) bool, on the host, the mask drawn for each utterance, in the order a, v, t.
        y: (B,) int64, target classes.
        targets: what System.prepare gave for these utterances, row by row.
        epoch: from 1.
    """

    x: Mapping[str, Sequences]
    available: Tensor
    y: Tensor
    targets: Mapping[str, Tensor]
    epoch: int


class Prediction(NamedTuple):
    """What a system says of B utterances in one condition.

    Attributes:
        O: (B, classes) float32, logits.
        H_prime: (B, 3 x hidden) float32, predicted invariant features; None where a system has none.
    """

    O: Tensor  # noqa: E741 - the paper's letter for the logits
    H_prime: Tensor | None


class Part(NamedTuple):
    """Weights whose epoch is picked by themselves.

    Attributes:
        conditions: the conditions whose pooled validation UA picks it.
        weights: name to tensor; they share memory with the system's own.
    """

    conditions: tuple[str, ...]
    weights: Mapping[str, Tensor]


class System(Protocol):
    """A torch module that the loop can train and test; the last methods are the module's own.

    Where there are several parts, what belongs to one of them is named by it: "a.joint" is of part "a"; what
    has no dot is for all.
    """

    smallest_batch: int
    """A last batch of fewer utterances is left out."""

    def networks(self) -> dict[str, nn.Module]:
        """The sub-networks that train; the gradient of each is clipped on its own."""

    def parts(self) -> dict[str, Part]:
        """What is picked by itself: {"": everything}, or a part for each condition."""

    def prepare(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Look at the N training utterances once, before the first step, in evaluation mode.

        What training needs of their full input and never changes: name to (N, ...).
        """

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """The loss "L" that is minimised, and its unweighted terms by name; all () float32."""

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """What `predict` needs of the full input: name to (B, ...), each from one condition's modalities."""

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict in several conditions; of `encoded`, only what a condition has is read.

        A condition that the system does not know (the full input, where it has a network for each of the six)
        is left out.
        """

    def vital(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The features that must not collapse: name to (B, hidden)."""

    def train(self, mode: bool = True) -> Self:
        """Enter training mode."""

    def eval(self) -> Self:
        """Enter evaluation mode."""

    def to(self, device: torch.device) -> Self:
        """Move to a device."""

    def state_dict(self) -> dict[str, Tensor]:
        """The weights by name."""

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> object:
        """Take weights by name."""
