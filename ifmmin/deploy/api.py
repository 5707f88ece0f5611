"""Python API for trained models: the class that `ifmmin.load` returns. `ifmmin predict` uses it too."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from ifmmin import systems
from ifmmin.core.errors import UserError
from ifmmin.core.terms import AUTO, CONDITIONS, FULL, MODALITIES
from ifmmin.deploy import inference
from ifmmin.pack import raw
from ifmmin.training import devices, seeding, weights

AT_ONCE = 512
"""Utterances of a pack in one batch."""

Batch = tuple[inference.Frames, Mapping[str, str]]
"""Frames of a batch of utterances, and the extractor of each modality, where known."""


class Emotion(NamedTuple):
    """The prediction for one utterance.

    Attributes:
        emotion: the class with the largest probability.
        probabilities: class to its calibrated probability, in [0, 1]; their sum is 1.
        condition: the modalities used: a, v, t, av, at, vt or avt.
    """

    emotion: str
    probabilities: dict[str, float]
    condition: str


class Model:
    """A trained model, or an ensemble of models of one system that averages their probabilities.

    Attributes:
        classes: names of the emotions, in the order of the model's outputs.
        sizes: modality to feature size (numbers per frame).
        extractors: modality to the extractor of the training features, where known.
    """

    def __init__(self, members: Sequence[inference.Model]) -> None:
        """Combine models; `load` reads them from files.

        Raises:
            UserError: if the models belong to different systems or have different classes.
        """
        inference.check_ensemble(members)
        self._members = list(members)
        self.classes = tuple(members[0].classes)
        self.sizes = dict(members[0].sizes)
        self.extractors = dict(members[0].extractors)

    def __repr__(self) -> str:
        """Show the system, the number of model files and the classes."""
        name, n = self._members[0].identifier, len(self._members)
        return (
            f"<ifmmin model {name}, {n} {'file' if n == 1 else 'files'}, classes {', '.join(self.classes)}>"
        )

    def predict(self, frames: Mapping[str, ArrayLike], condition: str = AUTO) -> Emotion:
        """Predict the emotion of one utterance.

        Args:
            frames: modality (a, v, t) to its frames [T, D], unscaled, T at least 1. Leave out missing
                modalities; an all-zero array also counts as missing.
            condition: the modalities to use, for instance "at"; by default all available ones.

        Returns:
            The emotion, the probability of each class, and the modalities used.

        Raises:
            UserError: if a modality is unknown, an array has the wrong shape or non-finite values, or no
                modality is available.
        """
        checked = {m: self._checked(m, frames[m]) for m in frames}
        if not any(x.any() for x in checked.values()):
            raise UserError(
                "the utterance has no modality; expected frames of a, v or t that are not all zero."
            )
        batch = {m: {"utterance": checked[m]} if m in checked else {} for m in MODALITIES}
        row = self.predict_batches([(batch, {})], condition).iloc[0]
        return Emotion(
            row["emotion"], {name: float(row[f"p_{name}"]) for name in self.classes}, row["condition"]
        )

    def predict_pack(
        self, *pack: "str | os.PathLike[str]", condition: str = AUTO, any_extractor: bool = False
    ) -> pd.DataFrame:
        """Predict the emotion of every utterance of a feature pack; it needs no labels.

        Args:
            pack: the folder of a pack, or "m=FILE.h5" for each available modality m.
            condition: the modalities to use, for instance "at"; by default all that an utterance has.
            any_extractor: whether to accept frames from an extractor other than the training data's.

        Returns:
            utterance_id, condition, emotion, p_<class> of each class, and warning if another extractor
            made the frames; sorted by utterance_id.

        Raises:
            UserError: if the pack cannot be read, or its features do not match the model.
        """
        files, extractors = raw.locate([os.fspath(part) for part in pack])
        batches = ((frames, extractors) for frames in raw.read_batches(files, AT_ONCE))
        return self.predict_batches(batches, condition, any_extractor=any_extractor)

    def predict_batches(
        self, batches: Iterable[Batch], condition: str = AUTO, *, any_extractor: bool = False
    ) -> pd.DataFrame:
        """Predict batches of utterances in parallel; arguments and result as in `predict_pack`."""
        if condition not in (AUTO, *CONDITIONS, FULL):
            raise UserError(
                f"condition {condition!r} is not known; expected one of {', '.join(CONDITIONS)}, {FULL}."
            )
        mismatches: set[str] = set()

        def checked() -> Iterator[inference.Frames]:
            for frames, extractors in batches:
                sizes = {m: next(iter(arrays.values())).shape[1] for m, arrays in frames.items() if arrays}
                mismatch = inference.check_frames(
                    self._members, sizes, extractors, any_extractor=any_extractor
                )
                mismatches.update({mismatch} - {""})
                yield frames

        threads, precision = inference.batches_at_once(), devices.precision()
        with seeding.deterministic():
            parts = inference.predict_in_parallel(self._members, checked(), condition, precision, threads)
            table = pd.concat(parts, ignore_index=True)
        if not mismatches:
            return table
        return table.assign(warning=f"other extractor: {'; '.join(sorted(mismatches))}")

    def _checked(self, m: str, frames: ArrayLike) -> NDArray[np.float32]:
        """Check the frames of one modality and trim the padding."""
        if m not in MODALITIES:
            raise UserError(f"modality {m!r} is not known; expected a, v or t.")
        x = np.asarray(frames, np.float32)
        if x.ndim != 2 or not len(x) or x.shape[1] != self.sizes[m]:
            raise UserError(
                f"frames of {m} have shape {list(x.shape)}; expected [T, {self.sizes[m]}], T at least 1."
            )
        if not np.isfinite(x).all():
            raise UserError(f"frames of {m} hold a number that is not finite; expected finite numbers.")
        return raw.trim_padding(x, m)


def load(*paths: "str | os.PathLike[str]") -> Model:
    """Load one model file, or all model files of a folder; see `ifmmin.load`."""
    files = [file for path in map(Path, paths) for file in _files(path)]
    device, _ = devices.choose()
    return Model([_member(file, device) for file in files])


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob("*.safetensors"))
    if not files:
        raise UserError(f"{path}: holds no model; expected .safetensors files. Check the path.")
    return files


def _member(path: Path, device: torch.device) -> inference.Model:
    tensors, header = weights.read(path)
    with torch.random.fork_rng(devices=()):  # building a network draws its initial weights
        system = systems.restore(str(path), tensors, header)
    return inference.model(str(path), system, device, header)
