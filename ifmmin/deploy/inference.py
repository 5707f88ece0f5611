"""Emotion prediction for new utterances from their available modalities, by one model or an ensemble."""

import math
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ifmmin.core.errors import UserError, one_line
from ifmmin.core.terms import AUTO, MODALITIES, braces
from ifmmin.nn.protocol import System
from ifmmin.nn.sequences import Sequences
from ifmmin.training.batches import Corpus
from ifmmin.training.calibration import probabilities
from ifmmin.training.devices import device
from ifmmin.training.prediction import predict

ADJECTIVES = {"a": "acoustic", "v": "visual", "t": "textual"}

MAX_PENDING_BYTES = 1 << 28
"""Bytes of frames that may wait in memory for prediction."""

Frames = Mapping[str, Mapping[str, NDArray[np.float32]]]
"""Modality to utterance id to frames [T, D], unscaled."""


class Model(NamedTuple):
    """A trained system and its inference settings.

    Attributes:
        name: name of the model file, for messages.
        identifier: the system's identifier, as in rows of params.yaml.
        system: the network.
        device: device of the network.
        sizes: modality to feature size D_m.
        classes: class names in the order of the logits.
        scaling: mean and std of the acoustic frames, [D_a] each.
        temperatures: condition to temperature, for the conditions that the system supports.
        extractors: modality to the extractor of the training features, where known.
        synthetic: whether the training corpus is synthetic.
    """

    name: str
    identifier: str
    system: System
    device: torch.device
    sizes: Mapping[str, int]
    classes: Sequence[str]
    scaling: tuple[NDArray[np.float32], ...]
    temperatures: Mapping[str, float]
    extractors: Mapping[str, str]
    synthetic: bool


def model(name: str, system: System, device: torch.device, header: Mapping[str, Any]) -> Model:
    """Build a model from its network and the header of its file (training/weights.py).

    Raises:
        UserError: if the header is incomplete or invalid.
    """
    try:
        start, corpus = header["start"], header["corpus"]
        with np.errstate(over="ignore"):  # overflow becomes inf, which _fault rejects
            scaling = tuple(np.asarray(header["scaling"][key], np.float32) for key in ("mean", "std"))
        built = Model(
            name,
            str(header["system"]),
            system.to(device),
            device,
            dict(start["sizes"] if "sizes" in start else start["encoders"]["sizes"]),
            list(corpus["classes"]),
            scaling,
            {c: float(entry["temperature"]) for c, entry in header["calibration"].items()},
            dict(corpus.get("extractors", {})),
            corpus.get("synthetic") is True,
        )
        fault = _fault(built, start["n_classes"])
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        fault = f"{type(error).__name__}: {one_line(error)}"
    if fault:
        raise UserError(
            f"{name}: is not a usable model ({fault}); expected a file written by train. Rerun train."
        )
    return built


def _fault(model: Model, n_classes: int) -> str:
    """Describe what is wrong with a model's settings; empty if they are valid."""
    mean, std = model.scaling
    rules = {
        "classes": len(model.classes) == n_classes and all(isinstance(name, str) for name in model.classes),
        "scaling": mean.shape == std.shape == (model.sizes["a"],)
        and bool(np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()),
        "calibration": all(0 < T < math.inf for T in model.temperatures.values()),
        "extractors": all(isinstance(x, str) for x in model.extractors.values()),
    }
    return ", ".join(f"invalid {part}" for part, good in rules.items() if not good)


def check_ensemble(models: Sequence[Model]) -> None:
    """Check that all models are of one system and one corpus.

    Raises:
        UserError: if they are not.
    """
    systems = sorted({model.identifier for model in models})
    if len(systems) > 1:
        raise UserError(
            f"--model: the models belong to {len(systems)} systems ({', '.join(systems)}); expected models "
            f"of one system. Pass the folder of one system, for instance data/models/{systems[0]}."
        )
    for model in models[1:]:
        if list(model.classes) != list(models[0].classes):
            raise UserError(
                f"{model.name}: classes are {', '.join(model.classes)}; those of {models[0].name} are "
                f"{', '.join(models[0].classes)}. Expected models of one corpus."
            )


def check_frames(
    models: Sequence[Model],
    sizes: Mapping[str, int],
    extractors: Mapping[str, str],
    *,
    any_extractor: bool = False,
) -> str:
    """Check that feature sizes and extractors match the training data of all models.

    Args:
        models: members of the ensemble.
        sizes: feature size of each available modality.
        extractors: modality to the extractor of the frames, where known.
        any_extractor: whether to accept frames from another extractor.

    Returns:
        The first accepted mismatch of extractors; empty if there is none.

    Raises:
        UserError: if a feature size differs, or an extractor differs and any_extractor is false.
    """
    mismatch = ""
    for model in models:
        for m, size in sizes.items():
            if size != model.sizes[m]:
                raise UserError(
                    f"{model.name}: takes {model.sizes[m]} features per frame of {m}; the input has {size}. "
                    "Expected features from the extractor of the training data."
                )
            extractor = extractors.get(m)
            if extractor and extractor != model.extractors.get(m):
                mismatch = mismatch or f"{m}: {_training(model, m)}, input {extractor}"
                if not any_extractor:
                    raise UserError(
                        f"{model.name}: was trained on {ADJECTIVES[m]} features from {_training(model, m)}; "
                        f"the input features are from {extractor}. Expected the same extractor; predictions "
                        "are meaningless otherwise. Pass another model, or use --any-extractor to predict "
                        "with a warning."
                    )
    return mismatch


def _training(model: Model, m: str) -> str:
    """Name the extractor of a modality in a model's training data."""
    extractor = model.extractors.get(m, "an unknown extractor")
    return f"a synthetic corpus ({extractor})" if model.synthetic else extractor


def conditions(ids: Sequence[str], frames: Frames, condition: str) -> dict[str, list[str]]:
    """Group utterances by condition.

    Args:
        ids: utterance ids.
        frames: their available frames; an all-zero sequence counts as missing.
        condition: AUTO, or the modalities to use for every utterance.

    Returns:
        Condition to utterance ids.

    Raises:
        UserError: if an utterance has no modality, or lacks one of the requested modalities.
    """
    by_condition: dict[str, list[str]] = {}
    for utterance_id in ids:
        available = "".join(
            m for m in MODALITIES if utterance_id in frames[m] and frames[m][utterance_id].any()
        )
        use = available if condition == AUTO else condition
        if not available or not set(use) <= set(available):
            raise UserError(
                f"utterance {utterance_id!r} has {braces(available) if available else 'no modality'}; "
                f"expected {'at least one' if condition == AUTO else braces(use)}. "
                "Leave it out, or add its frames."
            )
        by_condition.setdefault(use, []).append(utterance_id)
    return by_condition


def emotions(models: Sequence[Model], frames: Frames, condition: str, precision: str) -> pd.DataFrame:
    """Predict the emotion of each utterance from the mean of the models' calibrated probabilities.

    Args:
        models: members of the ensemble, already checked.
        frames: available frames of each utterance.
        condition: AUTO, or the modalities to use.
        precision: one of devices.PRECISIONS.

    Returns:
        utterance_id, condition, emotion, p_<class> of each class, sorted by utterance.

    Raises:
        UserError: if an utterance has no modality, a model does not support its condition, or a logit is not
            finite.
    """
    classes = list(models[0].classes)
    ids = sorted({utterance_id for arrays in frames.values() for utterance_id in arrays})
    parts = []
    for c, group in conditions(ids, frames, condition).items():
        x = {m: _sequences(frames[m], group) for m in c}
        x |= {m: _zero_placeholder(size, group) for m, size in models[0].sizes.items() if m not in c}
        p = np.mean([_probabilities(model, x, group, c, precision) for model in models], axis=0)
        columns = {f"p_{name}": p[:, k] for k, name in enumerate(classes)}
        emotion = [classes[k] for k in p.argmax(1)]
        parts.append(pd.DataFrame({"utterance_id": group, "condition": c, "emotion": emotion, **columns}))
    return pd.concat(parts).sort_values("utterance_id", ignore_index=True)


def batches_at_once() -> int:
    """Return how many batches to predict in parallel: OMP_NUM_THREADS or the number of cores; 1 on a GPU.

    Raises:
        UserError: if OMP_NUM_THREADS is not a positive integer.
    """
    # OpenMP allows a list for nested loops; the first number is for the outermost loop.
    setting = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if setting and not (setting.isascii() and setting.isdecimal() and int(setting)):
        raise UserError(f"OMP_NUM_THREADS is {setting!r}; expected a positive integer. Correct or unset it.")
    if device().type != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(setting or cores or 1)


def predict_in_parallel(
    models: Sequence[Model], batches: Iterable[Frames], condition: str, precision: str, threads: int
) -> Iterator[pd.DataFrame]:
    """Predict batches in parallel while further batches are read.

    Each batch uses one thread. Several threads in one matrix product would wait for each other on a busy
    machine, and their number would change the last digits.

    Args:
        models: members of the ensemble, already checked.
        batches: available frames of each batch; at most MAX_PENDING_BYTES plus one batch are in memory.
        condition: as in emotions.
        precision: as in emotions.
        threads: number of batches predicted in parallel.

    Yields:
        The result of `emotions` for each batch, in order.
    """
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    pending: deque[tuple[int, Future[pd.DataFrame]]] = deque()
    try:
        for frames in batches:
            size = sum(x.nbytes for arrays in frames.values() for x in arrays.values())
            pending.append((size, pool.submit(emotions, models, frames, condition, precision)))
            del frames
            while len(pending) > threads or sum(n_bytes for n_bytes, _ in pending) > MAX_PENDING_BYTES:
                yield pending.popleft()[1].result()
        yield from (future.result() for _, future in pending)
    finally:
        pool.shutdown(cancel_futures=True)


def _sequences(frames: Mapping[str, NDArray[np.float32]], ids: Sequence[str]) -> Sequences:
    arrays = [frames[utterance_id] for utterance_id in ids]
    lengths = torch.tensor([len(x) for x in arrays])
    return Sequences(torch.from_numpy(np.concatenate(arrays)), lengths.cumsum(0) - lengths, lengths)


def _zero_placeholder(size: int, ids: Sequence[str]) -> Sequences:
    """Build the zero placeholder of a missing modality: one zero frame per utterance."""
    lengths = torch.ones(len(ids), dtype=torch.int64)
    return Sequences(torch.zeros(1, size), lengths - 1, lengths)


def _probabilities(
    model: Model, x: Mapping[str, Sequences], ids: Sequence[str], c: str, precision: str
) -> NDArray[np.float64]:
    """Predict the calibrated probabilities (b, classes) of utterances in one condition."""
    mean, std = (torch.from_numpy(statistic) for statistic in model.scaling)
    scaled = {**x, "a": x["a"]._replace(frames=(x["a"].frames - mean) / std)}
    moved = {
        m: sequences._replace(frames=sequences.frames.to(model.device)) for m, sequences in scaled.items()
    }
    y, rows = torch.zeros(len(ids), dtype=torch.int64, device=model.device), {"test": torch.arange(len(ids))}
    corpus = Corpus(moved, y, rows, np.array(ids, object), list(model.classes))
    predicted, _ = predict(model.system, corpus, "test", [c], precision)
    if c not in predicted or c not in model.temperatures:
        raise UserError(
            f"{model.name}: has one network for each condition and none for {braces(c)}; expected fewer "
            "modalities. Choose them with --condition."
        )
    return probabilities(predicted[c].O.cpu().numpy(), model.temperatures[c])
