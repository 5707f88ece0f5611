"""A pack in the MMIN layout with two sessions, small enough to be made anew for each test, and ways to run stages on it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

ROOT = Path(__file__).parent.parent
FILES = {"a": "A/comparE.h5", "v": "V/denseface.h5", "t": "L/bert_large.h5"}
SIZES = {"a": 5, "v": 4, "t": 3}
LONGEST = {"v": 6, "t": 5}
SPLITS = {"trn": "train", "val": "validation", "tst": "test"}

torch.set_num_threads(1)


@dataclass
class Pack:
    """A pack in memory. A test changes what it likes, then writes; or writes, then changes the files.

    Attributes:
        folder: where it is written.
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
        return sorted(self.labels)

    def file(self, m):
        return self.folder / FILES[m]

    def target(self, fold, name):
        return self.folder / "target" / str(fold) / name

    def one_hot(self, ids):
        return np.eye(self.n_classes)[[self.labels[i] for i in ids]]

    def write(self):
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
        """Open a written file of features to change it."""
        return h5py.File(self.file(m), "r+")


def make_pack(folder):
    """Two sessions of two speakers, each with every class once, in four folds by IEMOCAP's rule.

    An utterance's frames are its number plus a tenth of the frame's number, so that each array is known and none is zero;
    v and t end in zero rows up to the longest.
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
    """Session and the letter of the last part: Ses02F_impro01_M000 is Ses02M."""
    return utterance_id[:5] + utterance_id.split("_")[-1][0]


@pytest.fixture
def pack(tmp_path):
    return make_pack(tmp_path / "pack")


@dataclass
class Stage:
    """How a stage ended."""

    code: int
    stderr: str


@pytest.fixture
def stage(tmp_path):
    """Run a stage script in a process of its own, in a folder of its own: stage("ingest", "--pack", folder, ...)."""

    def run(script, *arguments):
        done = subprocess.run(
            [sys.executable, ROOT / "stages" / f"{script}.py", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "IFMMIN_DEVICE": "cpu"},
            check=False,
        )
        return Stage(done.returncode, done.stderr)

    return run
