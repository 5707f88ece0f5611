"""Emotions of new utterances, each from whatever modalities it has, by one trained model or several."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ifmmin.batches import Corpus
from ifmmin.calibration import probabilities
from ifmmin.errors import UserError, one_line
from ifmmin.nn.sequences import Sequences
from ifmmin.nn.systems import System
from ifmmin.terms import MODALITIES, braces
from ifmmin.training.prediction import predict

AUTO = "auto"
"""In place of a condition: all modalities that an utterance has."""

WAITING = 1 << 28
"""Bytes of frames that are read before they are answered."""

Frames = Mapping[str, Mapping[str, NDArray[np.float32]]]
"""Modality to utterance id to frames [T, D], unscaled."""


class Model(NamedTuple):
    """A trained system with what its use takes.

    Attributes:
        name: of its file, for the user.
        identifier: the system's identifier, as in rows of params.yaml.
        system: the network.
        device: where it is.
        sizes: feature size D_m of each modality.
        classes: class names in the order of the logits.
        scaling: mean and deviation of the acoustic frames, [D_a] each.
        temperatures: of each condition that it knows.
        extractors: what made the frames that it was trained on, by modality, where that is known.
        synthetic: whether its corpus was generated, so that it knows no real recording.
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
    """Put a model together from its network and the header of its file (artifacts/weights).

    Raises:
        UserError: if the header does not say what the model's use takes.
    """
    try:
        start, corpus = header["start"], header["corpus"]
        with np.errstate(over="ignore"):  # what overflows is not finite
            scaling = tuple(np.asarray(header["scaling"][key], np.float32) for key in ("mean", "std"))
        made = Model(
            name,
            str(header["system"]),
            system.to(device),
            device,
            dict(start["sizes"] if "sizes" in start else start["encoders"]["sizes"]),
            list(corpus["classes"]),
            scaling,
            {c: float(of["temperature"]) for c, of in header["calibration"].items()},
            dict(corpus.get("extractors", {})),
            corpus.get("synthetic") is True,
        )
        fault = _fault(made, start["n_classes"])
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        fault = f"{type(error).__name__}: {one_line(error)}"
    if fault:
        raise UserError(
            f"{name}: is no model that can be used ({fault}). Expected what train writes; rerun it."
        )
    return made


def _fault(of: Model, n_classes: int) -> str:
    """What is wrong with a model's settings; empty where nothing is."""
    mean, deviation = of.scaling
    rules = {
        "classes": len(of.classes) == n_classes and all(isinstance(name, str) for name in of.classes),
        "scaling": mean.shape == deviation.shape == (of.sizes["a"],)
        and bool(np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation > 0).all()),
        "calibration": all(0 < T < math.inf for T in of.temperatures.values()),
        "extractors": all(isinstance(x, str) for x in of.extractors.values()),
    }
    return ", ".join(f"its {part} cannot be" for part, good in rules.items() if not good)


def check_ensemble(models: Sequence[Model]) -> None:
    """See that models can answer together: they are of one system and one corpus.

    Raises:
        UserError: if they are not.
    """
    rows = sorted({of.identifier for of in models})
    if len(rows) > 1:
        raise UserError(
            f"--model names models of {len(rows)} systems ({', '.join(rows)}); expected those of one, as the "
            "mean over several is no system's answer. Name the folder of one, for instance "
            f"data/models/{rows[0]}."
        )
    for of in models[1:]:
        if list(of.classes) != list(models[0].classes):
            raise UserError(
                f"{of.name}: classes are {', '.join(of.classes)}; those of {models[0].name} are "
                f"{', '.join(models[0].classes)}. Expected models of one corpus."
            )


def check_frames(
    models: Sequence[Model],
    sizes: Mapping[str, int],
    extractors: Mapping[str, str],
    *,
    any_extractor: bool = False,
) -> str:
    """See that models can read frames: of the right size, from the extractor that they were trained on.

    Args:
        models: that answer together.
        sizes: feature size of each modality that is there.
        extractors: what made the frames, by modality, where that is known.
        any_extractor: whether frames of another extractor are let pass.

    Returns:
        What is wrong with answers from these frames; empty where nothing is.

    Raises:
        UserError: if a size differs or, unless they are let pass, an extractor.
    """
    doubts = ""
    for of in models:
        for m, size in sizes.items():
            if size != of.sizes[m]:
                raise UserError(
                    f"{of.name}: takes {of.sizes[m]} numbers a frame of {m}; the input has {size}. "
                    "Expected frames made as those that it was trained on."
                )
            theirs = extractors.get(m)
            if theirs and theirs != of.extractors.get(m):
                doubts = doubts or f"{m}: {_training(of, m)}, input {theirs}"
                if not any_extractor:
                    raise UserError(
                        f"{of.name}: was trained on modality {m} of {_training(of, m)}; the input's is made "
                        f"by {theirs}. Expected the same extractor; the answer means nothing otherwise. "
                        "Name another model, or use --any-extractor to get that answer with a warning."
                    )
    return doubts


def _training(of: Model, m: str) -> str:
    """What made the frames of a modality that a model was trained on."""
    made = of.extractors.get(m, "an extractor that its corpus does not name")
    return f"a synthetic corpus ({made})" if of.synthetic else made


def conditions(ids: Sequence[str], frames: Frames, condition: str) -> dict[str, list[str]]:
    """Say in which condition each utterance is.

    Args:
        ids: the utterances.
        frames: what there is of them; a sequence that is all zero counts as missing.
        condition: AUTO, or the modalities to use of each, whatever else it has.

    Returns:
        Condition to utterances.

    Raises:
        UserError: if an utterance has no modality, or lacks one of those to use.
    """
    found: dict[str, list[str]] = {}
    for utterance_id in ids:
        there = "".join(m for m in MODALITIES if utterance_id in frames[m] and frames[m][utterance_id].any())
        use = there if condition == AUTO else condition
        if not there or not set(use) <= set(there):
            raise UserError(
                f"utterance {utterance_id!r} has {braces(there) if there else 'no modality'}; expected "
                f"{'one at least' if condition == AUTO else braces(use)}. Leave it out, or give its frames."
            )
        found.setdefault(use, []).append(utterance_id)
    return found


def emotions(models: Sequence[Model], frames: Frames, condition: str, precision: str) -> pd.DataFrame:
    """Say which emotion each utterance has, by the mean of the models' calibrated probabilities.

    Args:
        models: checked to agree.
        frames: what there is of each utterance.
        condition: AUTO, or the modalities to use.
        precision: one of devices.PRECISIONS.

    Returns:
        utterance_id, condition, emotion, p_<class> of each class, sorted by utterance.

    Raises:
        UserError: if an utterance has no modality, a model knows none of its condition, or a logit is not
            finite.
    """
    classes = list(models[0].classes)
    ids = sorted({utterance_id for of in frames.values() for utterance_id in of})
    parts = []
    for c, some in conditions(ids, frames, condition).items():
        x = {m: _sequences(frames[m], some) for m in c}
        x |= {m: _nothing(size, some) for m, size in models[0].sizes.items() if m not in c}
        p = np.mean([_probabilities(of, x, some, c, precision) for of in models], axis=0)
        columns = {f"p_{name}": p[:, k] for k, name in enumerate(classes)}
        emotion = [classes[k] for k in p.argmax(1)]
        parts.append(pd.DataFrame({"utterance_id": some, "condition": c, "emotion": emotion, **columns}))
    return pd.concat(parts).sort_values("utterance_id", ignore_index=True)


def side_by_side(
    models: Sequence[Model], batches: Iterable[Frames], condition: str, precision: str, threads: int
) -> Iterator[pd.DataFrame]:
    """Answer one batch after another, some of them while others are read.

    Each is answered on one thread: threads that share a product wait for one another, on a busy machine long,
    and their number changes the last digits.

    Args:
        models: checked to agree.
        batches: what there is of some utterances each; WAITING bytes of them are in memory at most, beside
            one.
        condition: as in emotions.
        precision: as in emotions.
        threads: batches answered at once.

    Yields:
        What `emotions` says of each, in their order.
    """
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    asked: deque[tuple[int, Future[pd.DataFrame]]] = deque()
    try:
        for frames in batches:
            size = sum(x.nbytes for of in frames.values() for x in of.values())
            asked.append((size, pool.submit(emotions, models, frames, condition, precision)))
            del frames
            while len(asked) > threads or sum(held for held, _ in asked) > WAITING:
                yield asked.popleft()[1].result()
        yield from (answer.result() for _, answer in asked)
    finally:
        pool.shutdown(cancel_futures=True)


def _sequences(frames: Mapping[str, NDArray[np.float32]], ids: Sequence[str]) -> Sequences:
    arrays = [frames[utterance_id] for utterance_id in ids]
    lengths = torch.tensor([len(x) for x in arrays])
    return Sequences(torch.from_numpy(np.concatenate(arrays)), lengths.cumsum(0) - lengths, lengths)


def _nothing(size: int, ids: Sequence[str]) -> Sequences:
    """A modality that is not read, in a form that every system can encode."""
    lengths = torch.ones(len(ids), dtype=torch.int64)
    return Sequences(torch.zeros(1, size), lengths - 1, lengths)


def _probabilities(
    of: Model, x: Mapping[str, Sequences], ids: Sequence[str], c: str, precision: str
) -> NDArray[np.float64]:
    """Probabilities (b, classes) of utterances in one condition."""
    mean, deviation = (torch.from_numpy(part) for part in of.scaling)
    scaled = {**x, "a": x["a"]._replace(frames=(x["a"].frames - mean) / deviation)}
    there = {m: on._replace(frames=on.frames.to(of.device)) for m, on in scaled.items()}
    y, rows = torch.zeros(len(ids), dtype=torch.int64, device=of.device), {"test": torch.arange(len(ids))}
    corpus = Corpus(there, y, rows, np.array(ids, object), list(of.classes))
    predicted, _ = predict(of.system, corpus, "test", [c], precision)
    if c not in predicted or c not in of.temperatures:
        raise UserError(
            f"{of.name}: has one network for each condition and none for {braces(c)}; expected fewer "
            "modalities. Choose some by --condition."
        )
    return probabilities(predicted[c].O.cpu().numpy(), of.temperatures[c])
