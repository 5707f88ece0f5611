"""One network for each of the six conditions, all trained on the same batches."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import wraps
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from ifmmin.core.terms import CONDITIONS, MODALITIES
from ifmmin.nn.protocol import (
    PRESENT,
    Batch,
    CheckpointGroup,
    Prediction,
    System,
    SystemDefaults,
    presence,
)
from ifmmin.nn.sequences import Sequences, to_device

Value = TypeVar("Value")
Member = TypeVar("Member", bound=System)


class PerCondition(SystemDefaults, nn.Module, Generic[Member]):
    """Six independent networks that only share the pass over the data.

    Each loss depends on one network, gradients are clipped for each sub-network, Adam works element by
    element, and the epoch of each network is selected on its own condition. The result is therefore the same
    as training each network alone on these batches (a test compares the two; the networks draw initial
    weights and dropout masks one after the other).
    """

    def __init__(self, members: Mapping[str, Member]) -> None:
        """Combine the networks: condition to a System with one checkpoint group."""
        super().__init__()
        self.members = nn.ModuleDict(cast("Mapping[str, nn.Module]", members))

    def by_condition(self) -> Iterable[tuple[str, Member]]:
        """Yield each condition and its network, in the order of Table 1."""
        return cast("Iterable[tuple[str, Member]]", self.members.items())

    def networks(self) -> dict[str, nn.Module]:
        """Name to sub-network, for all six networks."""
        return with_prefixes({c: member.networks() for c, member in self.by_condition()})

    def checkpoint_groups(self) -> dict[str, CheckpointGroup]:
        """One group for each condition; its epoch is selected on the validation UA of that condition."""
        return {c: member.checkpoint_groups()[""] for c, member in self.by_condition()}

    def precompute_targets(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Precompute the targets of each network."""
        return with_prefixes({c: member.precompute_targets(x) for c, member in self.by_condition()})

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Sum each loss over the networks; each network gets the gradient of its own loss."""
        terms: dict[str, list[Tensor]] = {}
        for c, member in self.by_condition():
            member_batch = batch._replace(targets=_for_condition(c, batch.targets))
            for name, loss in member.training_losses(member_batch).items():
                terms.setdefault(name, []).append(loss)
        return {name: torch.stack(losses).sum() for name, losses in terms.items()}

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Encode each condition's modalities with its own network, and add PRESENT."""
        features = with_prefixes(
            {c: member.encode({m: x[m] for m in c}) for c, member in self.by_condition()}
        )
        return {**features, PRESENT: presence(x)}

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict each condition with its own network; the full input has none and is left out.

        If the corpus lacks a modality of the condition for an utterance, the network for the remaining
        modalities predicts it. If no modality remains, the condition's own network predicts it from zero
        placeholders.
        """
        members = dict(self.by_condition())

        def predict(c: str) -> Prediction:
            return members[c].predict(_for_condition(c, encoded), [c])[c]

        predictions = {}
        for c in conditions:
            if c not in members:
                continue
            predictions[c] = predict(c)
            for remaining in (smaller for smaller in members if set(smaller) < set(c)):
                rows = _has_only(encoded[PRESENT], remaining, c)
                if rows.any():
                    O, replacement = predictions[c].O, predict(remaining).O  # noqa: E741 - the paper's letter
                    O = torch.where(to_device(rows, O)[:, None], replacement, O)  # noqa: E741
                    predictions[c] = predictions[c]._replace(O=O)
        return predictions

    def monitored(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Monitored features of each network: name to (B, hidden)."""
        return with_prefixes(
            {c: member.monitored(_for_condition(c, encoded)) for c, member in self.by_condition()}
        )


def with_prefixes(by_condition: Mapping[str, Mapping[str, Value]]) -> dict[str, Value]:
    """Prefix each name with its condition: "joint" of condition "a" becomes "a.joint"."""
    return {f"{c}.{name}": x for c, values in by_condition.items() for name, x in values.items()}


def _for_condition(c: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Select the tensors of one condition, without the prefix, and those shared by all conditions."""
    return {
        name.removeprefix(f"{c}."): x
        for name, x in tensors.items()
        if name.startswith(f"{c}.") or ("." not in name and name != PRESENT)
    }


def _has_only(present: Tensor, remaining: str, c: str) -> Tensor:
    """Which utterances have, among the modalities of condition c, exactly those in `remaining`: (B,) bool."""
    columns = [i for i, m in enumerate(MODALITIES) if m in c]
    expected = torch.tensor([MODALITIES[i] in remaining for i in columns])
    return (present[:, columns].bool() == expected).all(1)


def per_condition(
    build: Callable[..., Member], container: "type[PerCondition[Member]]" = PerCondition
) -> "Callable[..., PerCondition[Member]]":
    """Turn a build function for one condition into one that builds a network for each of the six.

    Args:
        build: builds one network from `condition` and further parameters. The returned function takes these
            parameters without `condition`; each network gets its own copy of pretrained encoders.
        container: class that combines the networks.
    """

    @wraps(build)
    def build_all(**settings: object) -> PerCondition[Member]:
        return container({c: build(**deepcopy(settings), condition=c) for c in CONDITIONS})

    return build_all
