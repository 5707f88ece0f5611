"""Checks that an ONNX graph and the torch system agree on utterances of the corpus."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, cast

import numpy as np
import onnxruntime
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from ifmmin.core.errors import UserError
from ifmmin.core.terms import MODALITIES, availability
from ifmmin.deploy.graph import INPUTS, OUTPUTS
from ifmmin.nn.protocol import System
from ifmmin.nn.sequences import Sequences
from ifmmin.training.calibration import probabilities

ALLOWED = 1e-5
"""Largest allowed difference of a probability or a logit; logits are divided by max(1, row's largest logit).

The float32 rounding error of the system itself (against double precision) is added to the limit. It is
smaller than the limit for features of ordinary size and larger for large features.
"""

UTTERANCES = 64
CUT = 8
"""Number of utterances cut to 1, 2, 3, ... frames, shorter than any convolution kernel."""

BATCHES = (1, 2, 7, 30)
"""Sizes of the first batches; the last batch takes the rest."""

Utterances = Mapping[str, list[NDArray[np.float32]]]
"""Modality to unscaled frames (T, D_m) of each utterance."""


def utterances(
    index: pd.DataFrame, frames: Mapping[str, NDArray[np.float32]], sizes: Mapping[str, int]
) -> Utterances:
    """Sample utterances evenly from the corpus and cut the first ones short.

    Args:
        index: m_offset and m_length of each modality m, as in corpus/features.py.
        frames: modality to [frames, D_m] float32, memory-mapped.
        sizes: modality to the feature size D_m of the model.

    Raises:
        UserError: if the feature sizes of the corpus differ.
    """
    corpus_sizes = {m: frames[m].shape[1] for m in MODALITIES}
    if corpus_sizes != sizes:
        raise UserError(
            f"features: sizes are {corpus_sizes}; expected {dict(sizes)}, as in the training data. "
            "Pass the features of the corpus that the model was trained on."
        )
    rows = np.linspace(0, len(index) - 1, UTTERANCES).astype(np.int64)
    max_lengths = np.array([n + 1 if n < CUT else np.iinfo(np.int64).max for n in range(UTTERANCES)])
    taken: dict[str, list[NDArray[np.float32]]] = {}
    for m in MODALITIES:
        first = index[f"{m}_offset"].to_numpy()[rows]
        lengths = np.clip(
            index[f"{m}_length"].to_numpy()[rows], 1, max_lengths
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
    """Compare graph and system in every condition and in batches of several sizes.

    The reference is the system in double precision, called as in the stage evaluate. The measured difference
    is then the rounding error of the graph alone; the fast kernels of ifmmin.nn have a larger one. The graph
    receives the same utterances unscaled, with mixed conditions in each batch and NaN as padding and in place
    of missing modalities.

    Args:
        model: the ONNX file.
        system: the trained system, on the CPU.
        raw: test utterances, unscaled.
        scaling: mean and std of each acoustic dimension.
        temperatures: condition to temperature, for the conditions that the system supports.

    Returns:
        The largest difference, as defined by ALLOWED.

    Raises:
        UserError: if it exceeds the limit.
    """
    exact, single = (_expected(system, raw, scaling, temperatures, p) for p in (torch.float64, torch.float32))
    largest, rounding = (
        _largest(_graph_outputs(model, raw, list(temperatures)), exact),
        _largest(single, exact),
    )
    if not largest <= ALLOWED + rounding:  # NaN too
        raise UserError(
            f"the ONNX graph differs from the system by {largest:.1e}; expected at most "
            f"{ALLOWED + rounding:.1e}. "
            "Nothing was exported: weights or features may be so large that float32 loses digits."
        )
    return largest


def _largest(outputs: Mapping[str, NDArray[Any]], exact: Mapping[str, NDArray[Any]]) -> float:
    """Return the largest difference, as defined by ALLOWED."""
    scale = np.maximum(1, np.abs(exact["logits"]).max(axis=1, keepdims=True))
    logits = np.abs(outputs["logits"] - exact["logits"]) / scale
    return float(np.max([logits, np.abs(outputs["probabilities"] - exact["probabilities"])]))


def _expected(
    system: System,
    raw: Utterances,
    scaling: Mapping[str, Sequence[float]],
    temperatures: Mapping[str, float],
    precision: torch.dtype,
) -> dict[str, NDArray[Any]]:
    """Run the system: name of an output to (conditions x utterances, classes)."""
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


def _graph_outputs(model: bytes, raw: Utterances, conditions: list[str]) -> dict[str, NDArray[Any]]:
    """Run the graph; shapes and order as in `_expected`."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    pairs = [(c, n) for c in conditions for n in range(len(raw["a"]))]
    order = np.random.default_rng(0).permutation(len(pairs))
    batches = np.split(order, np.cumsum(BATCHES))
    parts = [session.run(OUTPUTS, _batch(raw, [pairs[i] for i in batch])) for batch in batches]
    inverse = np.argsort(order)
    by_output = zip(OUTPUTS, zip(*parts, strict=True), strict=True)
    return {name: np.concatenate(arrays)[inverse] for name, arrays in by_output}


def _batch(raw: Utterances, pairs: list[tuple[str, int]]) -> dict[str, NDArray[Any]]:
    """Build a batch of (condition, utterance) pairs: input name of the graph to array."""
    frames, lengths = {}, {}
    for m in MODALITIES:
        arrays = [raw[m][n] if m in c else raw[m][n][:0] for c, n in pairs]
        longest = max(1, *(len(x) for x in arrays))
        padded = [np.pad(x, ((0, longest - len(x)), (0, 0)), constant_values=np.nan) for x in arrays]
        frames[m], lengths[m] = np.stack(padded), np.array([len(x) for x in arrays], np.int64)
    available = np.array([availability(c) for c, _ in pairs])
    return dict(zip(INPUTS, (*frames.values(), *lengths.values(), available), strict=True))
