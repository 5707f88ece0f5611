"""Whether an ONNX graph says what the system says, tried on utterances of the corpus."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, cast

import numpy as np
import onnxruntime
import pandas as pd
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
"""Largest difference of a probability, and of a logit relative to its row's largest, if above 1.

Besides what the system's own answer in float32 differs from that in double precision, which is less than this
on features of like size, and more where they are large.
"""

UTTERANCES = 64
CUT = 8
"""So many of them are cut to 1, 2, 3, ... frames: shorter than any convolution."""

BATCHES = (1, 2, 7, 30)
"""Sizes of the first batches; the last takes all the rest."""

Utterances = Mapping[str, list[NDArray[np.float32]]]
"""Modality to unscaled frames (T, D_m) of each utterance."""


def utterances(
    index: pd.DataFrame, frames: Mapping[str, NDArray[np.float32]], sizes: Mapping[str, int]
) -> Utterances:
    """Take utterances from all over the corpus, the first of them cut short.

    Args:
        index: for each modality m m_offset and m_length, as artifacts/features.py has them.
        frames: modality to [frames, D_m] float32, mapped.
        sizes: feature size D_m that the model reads.

    Raises:
        UserError: if the corpus has other sizes.
    """
    found = {m: frames[m].shape[1] for m in MODALITIES}
    if found != sizes:
        raise UserError(f"features: sizes are {found}; the model reads {dict(sizes)}. Name its own features.")
    rows = np.linspace(0, len(index) - 1, UTTERANCES).astype(np.int64)
    most = np.array([n + 1 if n < CUT else np.iinfo(np.int64).max for n in range(UTTERANCES)])
    taken: dict[str, list[NDArray[np.float32]]] = {}
    for m in MODALITIES:
        first = index[f"{m}_offset"].to_numpy()[rows]
        lengths = np.clip(
            index[f"{m}_length"].to_numpy()[rows], 1, most
        )  # 0: missing, one zero frame is kept
        taken[m] = [np.array(frames[m][start : start + T]) for start, T in zip(first, lengths, strict=True)]
    return taken


def largest_difference(
    model: bytes,
    system: System,
    raw: Utterances,
    *,
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
        raw: what they are tried on.
        scaling: mean and std of each acoustic dimension.
        temperatures: condition to temperature, of those that the system knows.

    Returns:
        The largest difference, as ALLOWED has it.

    Raises:
        UserError: if it is larger than ALLOWED.
    """
    exact, own = (_expected(system, raw, scaling, temperatures, of) for of in (torch.float64, torch.float32))
    largest, rounding = _largest(_found(model, raw, list(temperatures)), exact), _largest(own, exact)
    if not largest <= ALLOWED + rounding:  # NaN too
        raise UserError(
            f"the ONNX graph differs from the system by {largest:.1e}; expected at most "
            f"{ALLOWED + rounding:.1e}. "
            "Nothing was exported: weights or features may be so large that float32 loses digits."
        )
    return largest


def _largest(found: Mapping[str, NDArray[Any]], exact: Mapping[str, NDArray[Any]]) -> float:
    """The largest difference, as ALLOWED has it."""
    scale = np.maximum(1, np.abs(exact["logits"]).max(axis=1, keepdims=True))
    logits = np.abs(found["logits"] - exact["logits"]) / scale
    return float(np.max([logits, np.abs(found["probabilities"] - exact["probabilities"])]))


def _expected(
    system: System,
    raw: Utterances,
    scaling: Mapping[str, Sequence[float]],
    temperatures: Mapping[str, float],
    precision: torch.dtype,
) -> dict[str, NDArray[Any]]:
    """What the system says: name of an output to (conditions x utterances, classes)."""
    mean, std = (np.asarray(scaling[key], np.float32) for key in ("mean", "std"))
    scaled = {**raw, "a": [(x - mean) / std for x in raw["a"]]}
    copy = deepcopy(system).eval()
    cast("nn.Module", copy).to(precision)
    with torch.no_grad():
        encoded = copy.encode({m: _sequences(scaled[m], precision) for m in MODALITIES})
        predicted = copy.predict(encoded, temperatures)
    logits = {c: predicted[c].O.numpy() for c in temperatures}
    calibrated = [probabilities(logits[c], temperatures[c]) for c in temperatures]
    return {"logits": np.concatenate(list(logits.values())), "probabilities": np.concatenate(calibrated)}


def _sequences(arrays: list[NDArray[np.float32]], precision: torch.dtype) -> Sequences:
    lengths, frames = torch.tensor([len(x) for x in arrays]), torch.from_numpy(np.concatenate(arrays))
    return Sequences(frames.to(precision), lengths.cumsum(0) - lengths, lengths)


def _found(model: bytes, raw: Utterances, conditions: list[str]) -> dict[str, NDArray[Any]]:
    """What the graph says, in the same order."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    pairs = [(c, n) for c in conditions for n in range(len(raw["a"]))]
    order = np.random.default_rng(0).permutation(len(pairs))
    batches = np.split(order, np.cumsum(BATCHES))
    parts = [session.run(OUTPUTS, _batch(raw, [pairs[i] for i in some])) for some in batches]
    back = np.argsort(order)
    return {
        name: np.concatenate(of)[back] for name, of in zip(OUTPUTS, zip(*parts, strict=True), strict=True)
    }


def _batch(raw: Utterances, pairs: list[tuple[str, int]]) -> dict[str, NDArray[Any]]:
    """One batch of (condition, utterance), by the names of the graph's inputs."""
    frames, lengths = {}, {}
    for m in MODALITIES:
        there = [raw[m][n] if m in c else raw[m][n][:0] for c, n in pairs]
        longest = max(1, *(len(x) for x in there))
        padded = [np.pad(x, ((0, longest - len(x)), (0, 0)), constant_values=np.nan) for x in there]
        frames[m], lengths[m] = np.stack(padded), np.array([len(x) for x in there], np.int64)
    available = np.array([availability(c) for c, _ in pairs])
    return dict(zip(INPUTS, (*frames.values(), *lengths.values(), available), strict=True))
