"""Measures on test utterances of whether H is invariant and whether H' predicts it. No I/O.

Test utterances are measured after training, and nothing is chosen with these measures. The histories track
them on the validation utterances: L_cmd in pretraining, R2 and L_inv in training.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifmmin.core.terms import CONDITIONS, FULL, MODALITIES
from ifmmin.nn.encoders import Encoders, concatenated
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.measures import cmd_by_form, invariance, r2, rmse_by_availability
from ifmmin.nn.protocol import presence
from ifmmin.training.batches import Corpus
from ifmmin.training.devices import arithmetic
from ifmmin.training.prediction import ACTIVE, INFERENCE_BATCH

CHANCE = {"probe": 1 / len(MODALITIES), "rank_at": 0.5}
PRETRAINED, WITHOUT, UNTRAINED = "pretraining", "pretraining_no_cmd", "untrained"
"""Names of the encoders in the table, beside those of the systems."""

Measures = dict[tuple[str, str], tuple[float, float]]
"""(measure, condition or modality) to the value and its reference."""


def untrained(settings: Mapping[str, Any], seed: int) -> Encoders:
    """Encoders with random weights: the control that shows what training changes."""
    torch.manual_seed(seed)
    encoders = Encoders(**settings)
    initialise(encoders)
    return encoders


def restored(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Encoders:
    """Encoders with the weights of a file."""
    encoders = Encoders(**settings)
    encoders.load_state_dict(tensors)
    return encoders


def features(encoders: Encoders, corpus: Corpus, precision: str) -> tuple[Tensor, Tensor]:
    """The H^m of the test utterances, full input, and which modalities they have: (N, 3 x hidden), (N, 3)."""
    encoders = encoders.to(corpus.y.device).eval()
    rows = corpus.rows["test"]
    with torch.no_grad(), arithmetic(corpus.y.device, precision):
        batches = [encoders.encode(corpus.select(part)) for part in torch.split(rows, INFERENCE_BATCH)]
        H = torch.cat([concatenated(encoders.invariant(h_m)) for h_m in batches])
    return H.float().cpu(), presence(corpus.select(rows))


def of_features(H: Tensor, present: Tensor, K: int) -> Measures:
    """Measure the features of one network; the reference of a measure is its chance level, NaN without one.

    Args:
        H: (N, 3 x hidden), of the full input.
        present: (N, 3) bool; modalities that the corpus lacks do not count.
        K: highest order of moment in L_cmd.

    Returns:
        active_units of each modality; probe, rank_at, L_cmd_plain and L_cmd_scale_free.
    """
    H_m = dict(zip(MODALITIES, H.chunk(len(MODALITIES), dim=1), strict=True))
    measures: Measures = {}
    for i, (m, x) in enumerate(H_m.items()):
        if present[:, i].any():
            std = x[present[:, i]].std(0, correction=0)
            measures["active_units", m] = float((std > ACTIVE).double().mean()), math.nan
    for name, value in invariance(H_m, present).items():
        measure = name.removeprefix("validation_")
        measures[measure, FULL] = value, CHANCE[measure]
    for form, value in cmd_by_form(H_m, present, K).items():
        measures[f"L_cmd_{form}", FULL] = value, math.nan
    return measures


def of_predicted(H_prime: Mapping[str, Tensor], H: Tensor, present: Tensor) -> Measures:
    """How well H' predicts the H of the full input.

    Args:
        H_prime: condition to (N, 3 x hidden).
        H: (N, 3 x hidden), of the teacher.
        present: (N, 3) bool.

    Returns:
        R2 of the missing modalities by condition, with reference 0; L_inv (root mean square) of available,
        missing and all modalities over the six conditions, with that of a constant H' as reference.
    """
    measures: Measures = {
        ("R2", c): (r2(H_prime[c], H, set(FULL) - set(c), present), 0.0) for c in CONDITIONS
    }
    L_inv = rmse_by_availability(H_prime, H, present)
    for part in ("available", "missing", "all"):
        measures[f"L_inv_{part}", "six"] = L_inv[part], L_inv["constant"]
    return measures


def with_references(measures: Measures, references: Measures, names: Sequence[str]) -> Measures:
    """Use another network's values as references of the measures whose name starts with one of `names`."""
    return {
        key: (value, references[key][0] if key[0].startswith(tuple(names)) else reference)
        for key, (value, reference) in measures.items()
    }


def by_condition(
    keys: pd.DataFrame, H_prime: NDArray[np.float32], utterance_ids: Sequence[str]
) -> dict[str, Tensor]:
    """Split the rows of data/invariants by condition, in the order of the test utterances.

    Raises:
        ValueError: if a condition does not have these utterances.
    """
    split = {}
    for condition in (*CONDITIONS, FULL):
        rows = (keys["condition"] == condition).to_numpy()
        if list(keys["utterance_id"][rows]) != list(utterance_ids):
            raise ValueError(f"condition {condition} has other utterances than the fold.")
        split[condition] = torch.from_numpy(H_prime[rows])
    return split


def run(
    encoders: Mapping[str, Encoders],
    systems: Mapping[str, tuple[pd.DataFrame, NDArray[np.float32]]],
    corpus: Corpus,
    K: int,
    precision: str,
) -> pd.DataFrame:
    """Measure the networks of one fold and seed.

    For a system, `of_features` gets H' of the full input; R2 and L_inv compare H' with the H of pretraining.

    Args:
        encoders: the three encoders, keyed by PRETRAINED, WITHOUT and UNTRAINED.
        systems: system to the keys and values of its H' (evaluation/invariants.py).
        corpus: the fold.
        K: highest order of moment in L_cmd.
        precision: one of devices.PRECISIONS.

    Returns:
        network, measure, condition, value, reference: the encoders first; see results/mechanism.py.
    """
    of_network = {name: features(network, corpus, precision) for name, network in encoders.items()}
    measures = {name: of_features(*found, K) for name, found in of_network.items()}
    H, present = of_network[PRETRAINED]
    ids = corpus.utterance_ids[corpus.rows["test"].numpy()]
    for name, (keys, values) in systems.items():
        H_prime = by_condition(keys, values, ids)
        measures[name] = of_features(H_prime[FULL], present, K) | of_predicted(H_prime, H, present)
    tables = []
    for name, found in measures.items():
        if name != UNTRAINED:
            found = with_references(found, measures[UNTRAINED], ["active_units"])
        if name == PRETRAINED:
            found = with_references(found, measures[WITHOUT], ["L_cmd"])
        rows = [(name, *key, *pair) for key, pair in found.items()]
        tables.append(pd.DataFrame(rows, columns=["network", "measure", "condition", "value", "reference"]))
    return pd.concat(tables, ignore_index=True)
