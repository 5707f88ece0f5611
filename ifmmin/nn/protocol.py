"""The interface between the training loop and a network: a pretraining network or a system of Table 1."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from ifmmin.core.terms import MODALITIES
from ifmmin.nn.sequences import Sequences


class Batch(NamedTuple):
    """A batch of B training utterances.

    Attributes:
        x: modality to B sequences of raw (acoustic: scaled) features: the full input.
        available: (B, 3) bool, on the host: the mask drawn for each utterance, in the order a, v, t.
        y: (B,) int64, target classes.
        targets: the rows of System.precompute_targets for these utterances.
        epoch: number of the epoch, from 1.
    """

    x: Mapping[str, Sequences]
    available: Tensor
    y: Tensor
    targets: Mapping[str, Tensor]
    epoch: int


class Prediction(NamedTuple):
    """Predictions for B utterances in one condition.

    Attributes:
        O: (B, classes) float32, logits.
        H_prime: (B, 3 x hidden) float32, predicted invariant features; None if the system has none.
    """

    O: Tensor  # noqa: E741 - the paper's letter for the logits
    H_prime: Tensor | None


class CheckpointGroup(NamedTuple):
    """Weights that share one selected epoch.

    Attributes:
        conditions: the conditions whose pooled validation UA selects the epoch.
        weights: name to tensor; the tensors share memory with the system.
    """

    conditions: tuple[str, ...]
    weights: Mapping[str, Tensor]


class Validation(NamedTuple):
    """What a System returned for the N validation utterances.

    Attributes:
        encoded: from `encode`.
        predictions: from `predict`, in the conditions that select epochs.
        references: from `references`.
    """

    encoded: Mapping[str, Tensor]
    predictions: Mapping[str, Prediction]
    references: Mapping[str, Tensor]


class System(Protocol):
    """A torch module that the loop can train and test; nn.Module implements the last five methods.

    With several checkpoint groups, the prefix of a name is its group: "a.joint" belongs to group "a". A name
    without a dot is shared by all groups.
    """

    smallest_batch: int
    """The last batch of an epoch is dropped if it has fewer utterances."""

    loss_weights: Mapping[str, float]
    """Name of each term of L besides L_cls to its weight."""

    def networks(self) -> dict[str, nn.Module]:
        """Name to trained sub-network; the gradient of each is clipped separately."""

    def checkpoint_groups(self) -> dict[str, CheckpointGroup]:
        """Name to checkpoint group: {"": all weights}, or one group for each condition."""

    def precompute_targets(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Precompute the fixed targets of the N training utterances from their full input.

        Called once in evaluation mode, before the first step. Returns name to (N, ...).
        """

    def references(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Precompute from the full input of the N validation utterances what `diagnose` compares with.

        Called once in evaluation mode, before the first step. Returns name to (N, ...).
        """

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the minimised loss "L" and its unweighted terms: name to () float32."""

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Encode the full input for `predict`: name to (B, ...).

        Each is computed from the modalities of one condition only.
        """

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict in several conditions, each from its available modalities only.

        Conditions without a network are left out (the full input, if there is one network per condition).
        """

    def diagnose(self, validation: Validation) -> dict[str, float]:
        """Measure on the validation utterances whether the method works: further columns of the history."""

    def monitored(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The monitored features, which must not collapse: name to (B, hidden)."""

    def train(self, mode: bool = True) -> Self:
        """Enter training mode."""

    def eval(self) -> Self:
        """Enter evaluation mode."""

    def to(self, device: torch.device) -> Self:
        """Move to a device."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return the weights: name to tensor."""

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> object:
        """Load weights: name to tensor."""


class SystemDefaults:
    """What most systems share: batches of any size, one loss, no teacher, and no measures besides scores."""

    smallest_batch = 1
    loss_weights: Mapping[str, float] = MappingProxyType({})

    def precompute_targets(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Return no targets: there is no teacher."""
        del x
        return {}

    def references(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Return nothing."""
        del x
        return {}

    def diagnose(self, validation: Validation) -> dict[str, float]:
        """Measure nothing."""
        del validation
        return {}


PRESENT = "present"
"""Name under which `encode` returns `presence`."""


def presence(x: Mapping[str, Sequences]) -> Tensor:
    """Which modalities each utterance has in the corpus: (B, 3) bool, on the host."""
    return torch.stack([x[m].present for m in MODALITIES], dim=1)
