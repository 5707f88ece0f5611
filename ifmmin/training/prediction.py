"""Prediction and validation with any System."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ifmmin.core import scoring
from ifmmin.core.errors import UserError
from ifmmin.nn.protocol import Prediction, System, Validation
from ifmmin.nn.sequences import to_device
from ifmmin.training.batches import Corpus
from ifmmin.training.devices import arithmetic

INFERENCE_BATCH = 1024
"""Utterances per batch when no gradient is needed. Large batches have more sequences of similar length."""

ACTIVE = 1e-3
"""A unit is active if its std over the validation utterances exceeds this value."""


class TrainingError(UserError):
    """Training failed: a loss or weight is not finite, or an encoder collapsed."""


def predict(
    system: System, corpus: Corpus, role: str, conditions: Iterable[str], precision: str
) -> tuple[dict[str, Prediction], dict[str, Tensor]]:
    """Predict the utterances of a role in several conditions. Each modality is encoded only once.

    Args:
        system: the system, on the device of the corpus.
        corpus: features and roles of one fold.
        role: train, validation or test.
        conditions: for example ("a", "av").
        precision: one of devices.PRECISIONS.

    Returns:
        Condition to prediction (n rows each, in the order of the corpus), and the monitored features, which
        must not collapse.

    Raises:
        TrainingError: if a logit is not finite.
    """
    encoded = _encode(system, corpus, corpus.rows[role], precision)
    with torch.no_grad(), arithmetic(corpus.y.device, precision):
        return _predict(system, encoded, conditions, role), system.monitored(encoded)


def _predict(
    system: System, encoded: Mapping[str, Tensor], conditions: Iterable[str], role: str
) -> dict[str, Prediction]:
    """Predict from encoded utterances of a role, and check the logits."""
    predictions = {
        c: Prediction(p.O.float(), None if p.H_prime is None else p.H_prime.float())
        for c, p in system.predict(encoded, conditions).items()
    }
    for condition, prediction in predictions.items():
        if not prediction.O.isfinite().all():
            raise TrainingError(
                f"condition {condition}: a logit of the {role} utterances is not finite; expected finite "
                "logits. The weights have diverged. Lower lr (params.yaml)."
            )
    return predictions


def _encode(system: System, corpus: Corpus, rows: Tensor, precision: str) -> dict[str, Tensor]:
    """Encode utterances in batches."""
    system.eval()
    with torch.no_grad(), arithmetic(corpus.y.device, precision):
        batches = [system.encode(corpus.select(batch)) for batch in torch.split(rows, INFERENCE_BATCH)]
    return {name: torch.cat([batch[name] for batch in batches]).float() for name in batches[0]}


def group_column(column: str, group: str) -> str:
    """Name of a history column for a checkpoint group: "chosen" for the group "", "chosen_a" for "a"."""
    return f"{column}_{group}" if group else column


def validate(
    system: System, corpus: Corpus, precision: str, references: Mapping[str, Tensor]
) -> dict[str, float]:
    """Score the validation utterances, pooled over the conditions of the system and of each checkpoint group.

    Args:
        system: the system, on the device of the corpus.
        corpus: features and roles of one fold.
        precision: one of devices.PRECISIONS.
        references: what the system's `references` returned for the validation utterances.

    Returns:
        The validation columns of a history row (training/histories.py), including active_x and std_x, and
        what the system's `diagnose` measures.

    Raises:
        TrainingError: if a logit or another value of the row is not finite.
    """
    groups = {name: group.conditions for name, group in system.checkpoint_groups().items()}
    conditions = [c for group in groups.values() for c in group]
    encoded = _encode(system, corpus, corpus.rows["validation"], precision)
    with torch.no_grad(), arithmetic(corpus.y.device, precision):
        predictions = _predict(system, encoded, conditions, "validation")
        monitored = system.monitored(encoded)
        measures = system.diagnose(Validation(encoded, predictions, references))
    y = corpus.y[to_device(corpus.rows["validation"], corpus.y)]
    row = _score(torch.cat([predictions[c].O for c in conditions]), y)
    for name, group in groups.items():
        scores = _score(torch.cat([predictions[c].O for c in group]), y)
        row[group_column("validation_ua", name)] = scores["validation_ua"]
    for name, features in monitored.items():
        std = features.float().std(0, correction=0)
        row |= {
            f"active_{name}": (std > ACTIVE).float().mean().item(),
            f"std_{name}": std.mean().item(),
        }
    row |= measures
    for name, value in row.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"{name} is {value} over the validation utterances; expected a finite number. "
                "The weights have diverged. Lower lr (params.yaml)."
            )
    return row


def _score(O: Tensor, y: Tensor) -> dict[str, float]:  # noqa: E741 - the paper's letter for the logits
    """Score logits (conditions x n, classes) of the n utterances, with labels y (n,)."""
    labels, predicted = y.repeat(len(O) // len(y)), O.argmax(1).cpu().numpy()
    return {
        "validation_L_cls": nn.functional.cross_entropy(O, labels).item(),
        "validation_wa": scoring.wa(labels.cpu().numpy(), predicted),
        "validation_ua": scoring.ua(labels.cpu().numpy(), predicted, O.shape[1]),
    }
