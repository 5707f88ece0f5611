"""One network for each of the six conditions, trained side by side on the same batches."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import wraps
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from ifmmin.nn.sequences import Sequences, sent
from ifmmin.nn.systems import Batch, Part, Prediction, System
from ifmmin.terms import CONDITIONS, MODALITIES

PRESENT = "present"
"""Name of what `encode` says of the corpus: (B, 3) bool, which modalities each utterance has."""

Value = TypeVar("Value")
Member = TypeVar("Member", bound=System)


class PerCondition(nn.Module, Generic[Member]):
    """Six networks that share nothing but the pass over the data.

    Each loss reads its own network only, clipping is by sub-network and Adam by number, and each network's
    epoch is picked by its own condition: so each comes out as if it had been trained alone on these batches
    (a test compares; dropout and initial weights are drawn one network after the other).
    """

    smallest_batch = 1

    def __init__(self, members: Mapping[str, Member]) -> None:
        """Gather the networks: condition to a System with one part."""
        super().__init__()
        self.members = nn.ModuleDict(cast("Mapping[str, nn.Module]", members))

    def by_condition(self) -> Iterable[tuple[str, Member]]:
        """Condition and network, in the order of Table 1."""
        return cast("Iterable[tuple[str, Member]]", self.members.items())

    def networks(self) -> dict[str, nn.Module]:
        """The sub-networks of all."""
        return named({c: member.networks() for c, member in self.by_condition()})

    def parts(self) -> dict[str, Part]:
        """One part for each condition, picked by it alone."""
        return {c: member.parts()[""] for c, member in self.by_condition()}

    def prepare(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """What each network needs."""
        return named({c: member.prepare(x) for c, member in self.by_condition()})

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Sum each loss over the networks, so that each has the gradient that it would have alone."""
        terms: dict[str, list[Tensor]] = {}
        for c, member in self.by_condition():
            own = batch._replace(targets=_of(c, batch.targets))
            for name, loss in member.training_losses(own).items():
                terms.setdefault(name, []).append(loss)
        return {name: torch.stack(losses).sum() for name, losses in terms.items()}

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Each condition's features, from its own network and its own modalities; and PRESENT."""
        features = named({c: member.encode({m: x[m] for m in c}) for c, member in self.by_condition()})
        return {**features, PRESENT: present(x)}

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict each condition with its own network; for the full input there is none.

        An utterance that misses a modality of the condition in the corpus itself gets the prediction of the
        network for what remains; where nothing remains, the condition's own, of zero placeholders.
        """
        own = dict(self.by_condition())

        def predict(c: str) -> Prediction:
            return own[c].predict(_of(c, encoded), [c])[c]

        predictions = {}
        for c in conditions:
            if c not in own:
                continue
            predictions[c] = predict(c)
            for remaining in (other for other in own if set(other) < set(c)):
                rows = _has(encoded[PRESENT], remaining, c)
                if rows.any():
                    O, other = predictions[c].O, predict(remaining).O  # noqa: E741 - the paper's letter
                    O = torch.where(sent(rows, O)[:, None], other, O)  # noqa: E741
                    predictions[c] = predictions[c]._replace(O=O)
        return predictions

    def vital(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The features of each network that must not collapse."""
        return named({c: member.vital(_of(c, encoded)) for c, member in self.by_condition()})


def named(parts: Mapping[str, Mapping[str, Value]]) -> dict[str, Value]:
    """Name what belongs to one condition by it: "a.joint" is of "a"."""
    return {f"{c}.{name}": x for c, part in parts.items() for name, x in part.items()}


def _of(c: str, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What belongs to a condition, and what belongs to none."""
    return {
        name.removeprefix(f"{c}."): x
        for name, x in parts.items()
        if name.startswith(f"{c}.") or ("." not in name and name != PRESENT)
    }


def present(x: Mapping[str, Sequences]) -> Tensor:
    """Which modalities each utterance has: (B, 3) bool, on the host."""
    return torch.stack([x[m].present for m in MODALITIES], dim=1)


def _has(present: Tensor, remaining: str, c: str) -> Tensor:
    """Which utterances have, of the modalities of a condition, exactly the remaining ones: (B,) bool."""
    columns = [i for i, m in enumerate(MODALITIES) if m in c]
    wanted = torch.tensor([MODALITIES[i] in remaining for i in columns])
    return (present[:, columns].bool() == wanted).all(1)


def per_condition(
    build: Callable[..., Member], together: "type[PerCondition[Member]]" = PerCondition
) -> "Callable[..., PerCondition[Member]]":
    """Turn the build of a network of one condition into that of one network for each of the six.

    Args:
        build: takes `condition` and its own parameters, which are those of the result too; of encoders from
            pretraining each network gets a copy.
        together: the class of the result.
    """

    @wraps(build)
    def built(**settings: object) -> PerCondition[Member]:
        return together({c: build(**deepcopy(settings), condition=c) for c in CONDITIONS})

    return built
