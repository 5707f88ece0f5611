"""Prediction with anything that is a System, and its validation."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ifmmin import scoring
from ifmmin.batches import Corpus
from ifmmin.errors import UserError
from ifmmin.nn.sequences import sent
from ifmmin.nn.systems import Prediction, System
from ifmmin.training.devices import arithmetic

ROWS_AT_ONCE = 1024
"""Utterances encoded together where no gradient is kept: of many, more are of like length."""

LIVE = 1e-3
"""A unit is live when its standard deviation over the validation utterances exceeds this."""


class TrainingError(UserError):
    """A training went wrong in a way that its result would not show."""


def predict(
    system: System, corpus: Corpus, role: str, conditions: Iterable[str], precision: str
) -> tuple[dict[str, Prediction], dict[str, Tensor]]:
    """Predict the utterances of a role in several conditions; each modality is encoded once and recombined.

    Args:
        system: on the corpus's device.
        corpus: features and roles of one fold.
        role: train, validation or test.
        conditions: for instance ("a", "av").
        precision: one of devices.PRECISIONS.

    Returns:
        Condition to prediction (n rows each, in the order of the corpus), and the features that
        must not collapse.

    Raises:
        TrainingError: if a logit is not finite.
    """
    encoded = _encoded(system, corpus, corpus.rows[role], precision)
    with torch.no_grad(), arithmetic(corpus.y.device, precision):
        predictions = {
            c: Prediction(p.O.float(), None if p.H_prime is None else p.H_prime.float())
            for c, p in system.predict(encoded, conditions).items()
        }
        vital = system.vital(encoded)
    for condition, prediction in predictions.items():
        if not prediction.O.isfinite().all():
            raise TrainingError(
                f"condition {condition}: a logit of the {role} utterances is not finite; expected numbers. "
                "The weights have diverged: lower lr (params.yaml)."
            )
    return predictions, vital


def _encoded(system: System, corpus: Corpus, rows: Tensor, precision: str) -> dict[str, Tensor]:
    """Encode many utterances, some at a time."""
    system.eval()
    with torch.no_grad(), arithmetic(corpus.y.device, precision):
        parts = [system.encode(corpus.select(some)) for some in torch.split(rows, ROWS_AT_ONCE)]
    return {name: torch.cat([part[name] for part in parts]).float() for name in parts[0]}


def of_part(column: str, part: str) -> str:
    """Name a column of the history for one part of a system: "chosen" of "" and "chosen_a" of "a"."""
    return f"{column}_{part}" if part else column


def validate(system: System, corpus: Corpus, precision: str) -> dict[str, float]:
    """Score the validation utterances, pooled over the conditions of the system and of each part.

    Returns:
        A part of a history's row (artifacts/histories.py), with what shows a collapse.

    Raises:
        TrainingError: if a logit, or a number of the row, is not finite.
    """
    parts = {name: part.conditions for name, part in system.parts().items()}
    conditions = [c for of in parts.values() for c in of]
    predictions, vital = predict(system, corpus, "validation", conditions, precision)
    y = corpus.y[sent(corpus.rows["validation"], corpus.y)]
    row = _scored(torch.cat([predictions[c].O for c in conditions]), y)
    for name, of in parts.items():
        row[of_part("validation_ua", name)] = _scored(torch.cat([predictions[c].O for c in of]), y)[
            "validation_ua"
        ]
    for name, features in vital.items():
        deviation = features.float().std(0, correction=0)
        row |= {
            f"live_{name}": (deviation > LIVE).float().mean().item(),
            f"sd_{name}": deviation.mean().item(),
        }
    for name, value in row.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"{name} is {value} over the validation utterances; expected a finite number. "
                "The weights have diverged: lower lr (params.yaml)."
            )
    return row


def _scored(O: Tensor, y: Tensor) -> dict[str, float]:  # noqa: E741 - the paper's letter for the logits
    """Score logits that hold the same utterances in one or several conditions."""
    labels, predicted = y.repeat(len(O) // len(y)), O.argmax(1).cpu().numpy()
    return {
        "validation_L_cls": nn.functional.cross_entropy(O, labels).item(),
        "validation_wa": scoring.wa(labels.cpu().numpy(), predicted),
        "validation_ua": scoring.ua(labels.cpu().numpy(), predicted, O.shape[1]),
    }
