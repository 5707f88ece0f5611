"""Whether an ONNX graph says what the system says, tried on utterances made at random."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from ifmmin.calibration import probabilities
from ifmmin.errors import UserError
from ifmmin.exporting.graph import INPUTS, OUTPUTS
from ifmmin.nn.sequences import Sequences
from ifmmin.nn.systems import System
from ifmmin.terms import MODALITIES, availability

ALLOWED = 1e-5
"""Largest difference of a probability, and of a logit relative to max(1, |logit|)."""

UTTERANCES = 64
LONGEST = 60
BATCHES = (1, 2, 7, 30)
"""Sizes of the first batches; the last takes all the rest."""


def largest_difference(
    model: bytes,
    system: System,
    *,
    sizes: Mapping[str, int],
    scaling: Mapping[str, Sequence[float]],
    temperatures: Mapping[str, float],
) -> float:
    """Run the graph beside the system, in every condition and in batches of several sizes.

    The system predicts by the calls of the stage evaluate, in double precision, so that what is measured is
    the rounding of the graph and not that of the fast forms of ifmmin.nn too, which is larger. The graph gets
    the same utterances unscaled, one condition beside the other, with NaN behind each end and for each
    missing modality.

    Args:
        model: the ONNX file.
        system: on the CPU.
        sizes: feature size D_m of each modality.
        scaling: mean and std of each acoustic dimension.
        temperatures: condition to temperature, of those that the system knows.

    Returns:
        The largest difference, as ALLOWED has it.

    Raises:
        UserError: if it is larger than ALLOWED.
    """
    raw = _utterances(sizes, scaling)
    expected = _expected(system, raw, scaling, temperatures)
    found = _found(model, raw, list(temperatures))
    logits = np.abs(found["logits"] - expected["logits"]) / np.maximum(1, np.abs(expected["logits"]))
    largest = float(np.max([logits, np.abs(found["probabilities"] - expected["probabilities"])]))
    if not largest <= ALLOWED:  # NaN too
        raise UserError(
            f"the ONNX graph differs from the system by {largest:.1e}; expected at most {ALLOWED:.0e}. "
            "Nothing was exported: features or weights may be so large that float32 loses digits."
        )
    return largest


def _utterances(
    sizes: Mapping[str, int], scaling: Mapping[str, Sequence[float]]
) -> dict[str, list[NDArray[np.float32]]]:
    """Modality to unscaled (T, D_m) of each utterance, the shortest of a single frame."""
    draw = np.random.default_rng(0)
    found = {}
    for m in MODALITIES:
        lengths = [*range(1, 9), *draw.integers(1, LONGEST + 1, UTTERANCES - 8)]
        found[m] = [draw.standard_normal((T, sizes[m]), np.float32) for T in draw.permutation(lengths)]
    mean, std = (np.asarray(scaling[key], np.float32) for key in ("mean", "std"))
    return {**found, "a": [x * std + mean for x in found["a"]]}


def _expected(
    system: System,
    raw: Mapping[str, list[NDArray[np.float32]]],
    scaling: Mapping[str, Sequence[float]],
    temperatures: Mapping[str, float],
) -> dict[str, NDArray[Any]]:
    """What the system says: name of an output to (conditions x utterances, classes)."""
    mean, std = (np.asarray(scaling[key], np.float32) for key in ("mean", "std"))
    scaled = {**raw, "a": [(x - mean) / std for x in raw["a"]]}
    exact = deepcopy(system).eval()
    cast("nn.Module", exact).double()
    with torch.no_grad():
        encoded = exact.encode({m: _sequences(scaled[m]) for m in MODALITIES})
        predicted = exact.predict(encoded, temperatures)
    logits = {c: predicted[c].O.numpy() for c in temperatures}
    calibrated = [probabilities(logits[c], temperatures[c]) for c in temperatures]
    return {"logits": np.concatenate(list(logits.values())), "probabilities": np.concatenate(calibrated)}


def _sequences(arrays: list[NDArray[np.float32]]) -> Sequences:
    lengths = torch.tensor([len(x) for x in arrays])
    return Sequences(torch.from_numpy(np.concatenate(arrays)).double(), lengths.cumsum(0) - lengths, lengths)


def _found(
    model: bytes, raw: Mapping[str, list[NDArray[np.float32]]], conditions: list[str]
) -> dict[str, NDArray[Any]]:
    """What the graph says, in the same order."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    pairs = [(c, n) for c in conditions for n in range(UTTERANCES)]
    order = np.random.default_rng(0).permutation(len(pairs))
    batches = np.split(order, np.cumsum(BATCHES))
    parts = [session.run(OUTPUTS, _batch(raw, [pairs[i] for i in some])) for some in batches]
    back = np.argsort(order)
    return {
        name: np.concatenate(of)[back] for name, of in zip(OUTPUTS, zip(*parts, strict=True), strict=True)
    }


def _batch(
    raw: Mapping[str, list[NDArray[np.float32]]], pairs: list[tuple[str, int]]
) -> dict[str, NDArray[Any]]:
    """One batch of (condition, utterance), by the names of the graph's inputs."""
    frames, lengths = {}, {}
    for m in MODALITIES:
        there = [raw[m][n] if m in c else raw[m][n][:0] for c, n in pairs]
        longest = max(1, *(len(x) for x in there))
        padded = [np.pad(x, ((0, longest - len(x)), (0, 0)), constant_values=np.nan) for x in there]
        frames[m], lengths[m] = np.stack(padded), np.array([len(x) for x in there], np.int64)
    available = np.array([availability(c) for c, _ in pairs])
    return dict(zip(INPUTS, (*frames.values(), *lengths.values(), available), strict=True))
