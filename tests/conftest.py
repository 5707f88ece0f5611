"""A small pack in the MMIN layout, made for each test, and fixtures that run stages on it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from hypothesis import settings as hypothesis_settings

from ifmmin.core.loading import load
from ifmmin.nn.encoders import Encoders
from ifmmin.nn.sequences import Sequences
from ifmmin.training.batches import Corpus
from ifmmin.training.devices import has_bf16

ROOT = Path(__file__).parent.parent
FILES = {"a": "A/comparE.h5", "v": "V/denseface.h5", "t": "L/bert_large.h5"}
SIZES = {"a": 5, "v": 4, "t": 3}
LONGEST = {"v": 6, "t": 5}
SPLITS = {"trn": "train", "val": "validation", "tst": "test"}

torch.set_num_threads(1)

# The same examples in every run, here and in CI; `--hypothesis-profile default` draws new ones.
hypothesis_settings.register_profile("same", derandomize=True, database=None, deadline=None)
hypothesis_settings.load_profile("same")

needs_bf16 = pytest.mark.skipif(not has_bf16(), reason="this processor has no bf16 instructions")


@dataclass
class Pack:
    """A pack in memory. A test changes it and writes it, or writes it and changes the files.

    Attributes:
        folder: where to write it.
        labels: class index by utterance id.
        x: modality to utterance id to frames, padding included.
        folds: fold to split (trn, val, tst) to utterance ids.
        n_classes: width of the one-hot labels.
    """

    folder: Path
    labels: dict
    x: dict
    folds: dict
    n_classes: int = 4

    @property
    def ids(self):
        """Its utterance ids, sorted."""
        return sorted(self.labels)

    def file(self, m):
        """Path of a modality's features."""
        return self.folder / FILES[m]

    def target(self, fold, name):
        """Path of a target file."""
        return self.folder / "target" / str(fold) / name

    def one_hot(self, ids):
        """One-hot labels of utterances, as the pack stores them."""
        return np.eye(self.n_classes)[[self.labels[i] for i in ids]]

    def write(self):
        """Write the pack, replacing what is there."""
        for m, arrays in self.x.items():
            self.file(m).parent.mkdir(parents=True, exist_ok=True)
            with h5py.File(self.file(m), "w") as file:
                for utterance_id, array in arrays.items():
                    file.create_dataset(utterance_id, data=array)
        for fold, splits in self.folds.items():
            self.target(fold, "").mkdir(parents=True, exist_ok=True)
            for split, ids in splits.items():
                np.save(self.target(fold, f"{split}_int2name.npy"), np.array(ids, dtype=bytes)[:, None])
                np.save(self.target(fold, f"{split}_label.npy"), self.one_hot(ids))
        return self

    def open(self, m):
        """Open a written feature file for changes."""
        return h5py.File(self.file(m), "r+")


def make_pack(folder):
    """Two sessions of two speakers with one utterance per class, in four folds by IEMOCAP's rule.

    A frame is the number of its utterance plus a tenth of its own number plus a hundredth of the column:
    every value is known, and none is zero. Modalities v and t are padded with zero rows.
    """
    labels, x = {}, {m: {} for m in FILES}
    for s, speaker in enumerate(("Ses01F", "Ses01M", "Ses02F", "Ses02M")):
        for label in range(4):
            n = 4 * s + label + 1
            markers = "MF"[label % 2]
            scene = "impro01" if label < 2 else "script01_1"
            utterance_id = f"{speaker[:5]}{markers}_{scene}_{speaker[5]}{label:03d}"
            labels[utterance_id] = label
            for m, T in (("a", 2 + n % 5), ("v", 1 + n % 5), ("t", 1 + n % 4)):
                frames = n + 0.1 * np.arange(T)[:, None] + 0.01 * np.arange(SIZES[m])
                x[m][utterance_id] = np.pad(frames, ((0, LONGEST.get(m, T) - T), (0, 0))).astype(np.float32)
    folds = {
        fold: {
            "trn": [i for i in labels if speaker_of(i) not in (test, validation)],
            "val": [i for i in labels if speaker_of(i) == validation],
            "tst": [i for i in labels if speaker_of(i) == test],
        }
        for fold, (test, validation) in {
            1: ("Ses01F", "Ses01M"),
            2: ("Ses01M", "Ses01F"),
            3: ("Ses02F", "Ses02M"),
            4: ("Ses02M", "Ses02F"),
        }.items()
    }
    return Pack(folder, labels, x, folds)


def speaker_of(utterance_id):
    """The session and the letter of the last part: Ses02M for Ses02F_impro01_M000."""
    return utterance_id[:5] + utterance_id.split("_")[-1][0]


@pytest.fixture
def pack(tmp_path):
    return make_pack(tmp_path / "pack")


@dataclass
class Stage:
    """Exit status and error output of a stage."""

    code: int
    stderr: str


@pytest.fixture
def stage(tmp_path):
    """A function that runs a stage script with arguments, as a new process in tmp_path."""

    def run(script, *arguments, module=None):
        target = [module, script] if module else [f"stages.{script}"]
        done = subprocess.run(
            [sys.executable, "-m", *target, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "IFMMIN_DEVICE": "cpu"},
            check=False,
        )
        return Stage(done.returncode, done.stderr)

    return run


@pytest.fixture
def ifmmin(stage):
    """A function that runs `ifmmin VERB ...` as `stage` runs a stage."""
    return partial(stage, module="ifmmin")


@pytest.fixture
def settings():
    """The repository's params.yaml as plain values that a test may change."""
    return yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))


@pytest.fixture
def write_params(settings, tmp_path):
    """A function that writes params.yaml into tmp_path with some values replaced, and returns its path."""

    def write(**changes):
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump({**settings, **changes}, sort_keys=False), "utf-8")
        return path

    return write


ENCODERS = {
    "sizes": SIZES,
    "hidden": 6,
    "kernel_heights": [2, 3],
    "filters": 4,
    "text_dropout": 0.5,
    "missing_steps": {"a": 4, "v": 3, "t": 2},
    "invariance_depth": 1,
    "invariance_activation": "leaky_relu",
    "invariance_dropout": 0.0,
}
"""Settings of small encoders for the pack's feature sizes."""

SYSTEM = {
    "n_classes": 4,
    "lambda1": 1.0,
    "lambda2": 100.0,
    "M": 2,
    "autoencoder": [10, 8, 5],
    "cascade": "every",
    "residual_output": False,
    "transition": False,
    "distance": "rmse",
    "invariant_input": "own",
    "inv_modalities": "all",
    "inv_text_dropout": True,
    "classifier": [7, 6],
    "dropout": 0.5,
}
"""Settings of a small IF-MMIN."""


@pytest.fixture
def new_encoders():
    """A function that builds small encoders from a seed, with some settings replaced."""

    def build(seed=0, **changes):
        torch.manual_seed(seed)
        return Encoders(**{**ENCODERS, **changes})

    return build


@pytest.fixture
def new_system(new_encoders):
    """A function that builds a small system by name and seed; changes replace settings, None removes one."""

    def build(name="if_mmin", seed=0, **changes):
        values = {key: value for key, value in {**SYSTEM, **changes}.items() if value is not None}
        return load("systems", name).build(encoders=new_encoders(seed), **values)

    return build


def draw_sequences(lengths, size, draw):
    """Sequences of these lengths with standard normal frames."""
    lengths = torch.as_tensor(lengths)
    frames = torch.randn(int(lengths.sum()), size, generator=draw)
    return Sequences(frames, torch.cumsum(lengths, 0) - lengths, lengths)


@pytest.fixture
def draw_x():
    """A function that draws n utterances of unequal lengths with the pack's feature sizes."""

    def draw_utterances(n, seed=0):
        draw = torch.Generator().manual_seed(seed)
        longest = {"a": 9, "v": 6, "t": 5}
        return {
            m: draw_sequences(torch.randint(1, longest[m] + 1, (n,), generator=draw), SIZES[m], draw)
            for m in "avt"
        }

    return draw_utterances


@pytest.fixture
def corpus(draw_x):
    """60 utterances of four classes whose frames differ in mean: 36 train, 12 validation, 12 test."""
    x, y = draw_x(60), torch.arange(60) % 4
    for m in "avt":
        means = torch.randn(4, SIZES[m], generator=torch.Generator().manual_seed(SIZES[m]))
        x[m].frames.add_(2 * means[torch.repeat_interleave(y, x[m].lengths)])
    rows = {"train": torch.arange(36), "validation": torch.arange(36, 48), "test": torch.arange(48, 60)}
    ids = np.array([f"u{i:02d}" for i in range(60)], dtype=object)
    return Corpus(x, y, rows, ids, ["angry", "happy", "neutral", "sad"])
