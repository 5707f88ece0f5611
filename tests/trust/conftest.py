"""Stages run in this process, on a pack so small that a training takes a fraction of a second."""

import importlib
import shutil

import pytest
import torch
import yaml

from conftest import ROOT, SIZES, make_pack
from ifmmin.core import configs
from trust import small

FIT = {
    "epochs_constant": 2,
    "epochs_decay": 1,
    "batch": 4,
    "lr": 0.01,
    "beta1": 0.5,
    "clip": 1.0,
    "on_collapse": "warn",
    "threads": 1,
}
FOLD, SEED = 1, 0
TEST, VALIDATION, TRAINING = "Ses01F", "Ses01M", "Ses02"
"""Speakers, or a session, of the fold."""


class Stages:
    """The stages that lead to the predictions of one fold, each by its real script."""

    def __init__(self, folder):
        """All that they write lies in the folder."""
        self.folder = folder

    def __call__(self, script, *positional, **options):
        """Run a script's main here."""
        module = importlib.import_module(f"stages.{script}")
        words = (
            word for option, value in options.items() for word in (f"--{option.replace('_', '-')}", value)
        )
        return module.main([*map(str, positional), *map(str, words)])

    def path(self, name, kind):
        """Where the artifact of a system or pretraining lies."""
        return self.folder / name / kind

    def corpus(self, pack):
        """Ingest and split a pack."""
        shutil.rmtree(self.folder / "features", ignore_errors=True)
        self("ingest", pack=pack.write().folder, out=self.folder / "features")
        params = self.folder / "params.yaml"
        settings = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
        params.write_text(yaml.safe_dump({**settings, "folds": [FOLD], "split": {"folds_from": "auto"}}))
        self("split", params=params, features=self.folder / "features", out=self.folder / "folds")
        return self

    def given(self, name, **fit):
        """What pretrain and train are both told."""
        config = self.path(name, "config.json")
        configs.write(config, {"build": small.config(name), "fit": {**FIT, **fit}})
        return {"config": config, **self.fold(), "seed": SEED, "history": self.path(name, "history.csv")}

    def fold(self):
        """Features and fold."""
        return {
            "features": self.folder / "features",
            "fold": self.folder / "folds" / f"{FOLD}.parquet",
            "scaling": self.folder / "folds" / f"{FOLD}_scaling.json",
        }

    def pretrain(self, kind, **fit):
        """Pretrain encoders."""
        self("pretrain", kind, **self.given(kind, **fit), encoders=self.path(kind, "weights"))

    def train(self, name, **fit):
        """Train a system, from the encoders of its kind, which are there."""
        kind = small.load("systems", name).PRETRAINING
        encoders = {"encoders": self.path(kind, "weights")} if kind else {}
        self("train", name, **self.given(name, **fit), **encoders, model=self.path(name, "weights"))

    def evaluate(self, name):
        """Predict the test utterances."""
        out = {kind: self.path(name, kind) for kind in ("predictions", "invariants", "missing_frames")}
        self(
            "evaluate",
            name,
            params=self.folder / "params.yaml",
            **self.fold(),
            model=self.path(name, "weights"),
            seed=SEED,
            **out,
        )

    def make(self, name):
        """Train a system or kind of pretraining, with what it needs."""
        if name in small.PRETRAININGS:
            self.pretrain(name)
            return self
        kind = small.load("systems", name).PRETRAINING
        if kind:
            self.pretrain(kind)
        self.train(name)
        return self

    def bytes(self, name):
        """Weights and history, with those of its encoders."""
        kinds = [name] if name in small.PRETRAININGS else [name, small.load("systems", name).PRETRAINING]
        return [self.path(k, of).read_bytes() for k in kinds if k for of in ("weights", "history.csv")]


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """Give a function that makes a folder of stages; checkpoints lie apart, algorithms are set back."""
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")
    monkeypatch.delenv("IFMMIN_PRECISION", raising=False)
    monkeypatch.chdir(tmp_path)
    mode, threads = torch.get_deterministic_debug_mode(), torch.get_num_threads()

    def new(name="stages"):
        folder = tmp_path / name
        folder.mkdir()
        return Stages(folder)

    yield new
    torch.set_deterministic_debug_mode(mode)
    torch.set_num_threads(threads)


@pytest.fixture
def pack_of(tmp_path):
    """Give a function that makes the same pack each time, of frames that differ within an utterance."""

    def new(name="pack"):
        pack = make_pack(tmp_path / name)
        for m, size in SIZES.items():
            for utterance_id, frames in pack.x[m].items():
                label = pack.labels[utterance_id]
                frames[:, label % size] += 1.5 * (frames[:, 0] != 0)
                frames *= 0.1
        return pack

    return new
