"""Run stages in this process, on a pack so small that training takes a fraction of a second."""

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
"""Speakers (or the session) of each role in the fold."""


class Stages:
    """Runs the real stage scripts that lead to the predictions of one fold."""

    def __init__(self, folder):
        """Write everything into the folder."""
        self.folder = folder

    def __call__(self, script, *positional, **options):
        """Run the main of a stage script in this process."""
        module = importlib.import_module(f"stages.{script}")
        named = (
            word for option, value in options.items() for word in (f"--{option.replace('_', '-')}", value)
        )
        return module.main([*map(str, positional), *map(str, named)])

    def path(self, name, kind):
        """Path of an artifact of a system or pretraining."""
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

    def arguments(self, name, **fit):
        """Arguments that pretrain and train share."""
        config = self.path(name, "config.json")
        configs.write(config, {"build": small.config(name), "fit": {**FIT, **fit}})
        return {"config": config, **self.fold(), "seed": SEED, "history": self.path(name, "history.csv")}

    def fold(self):
        """Arguments for features and fold."""
        return {
            "features": self.folder / "features",
            "fold": self.folder / "folds" / f"{FOLD}.parquet",
            "scaling": self.folder / "folds" / f"{FOLD}_scaling.json",
        }

    def pretrain(self, kind, **fit):
        """Pretrain encoders."""
        self("pretrain", kind, **self.arguments(kind, **fit), encoders=self.path(kind, "weights"))

    def train(self, name, **fit):
        """Train a system, from existing encoders if it needs any."""
        kind = small.load("systems", name).PRETRAINING
        encoders = {"encoders": self.path(kind, "weights")} if kind else {}
        self("train", name, **self.arguments(name, **fit), **encoders, model=self.path(name, "weights"))

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
        """Train a system, pretraining its encoders first, or run a kind of pretraining."""
        if name in small.PRETRAININGS:
            self.pretrain(name)
            return self
        kind = small.load("systems", name).PRETRAINING
        if kind:
            self.pretrain(kind)
        self.train(name)
        return self

    def bytes(self, name):
        """Bytes of weights and history, including those of the encoders."""
        kinds = [name] if name in small.PRETRAININGS else [name, small.load("systems", name).PRETRAINING]
        return [self.path(k, file).read_bytes() for k in kinds if k for file in ("weights", "history.csv")]


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """Return a function that makes `Stages` in a new folder; torch's global settings are restored."""
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
    """Return a function that makes the same pack each time, with frames that depend on the label."""

    def new(name="pack"):
        pack = make_pack(tmp_path / name)
        for m, size in SIZES.items():
            for utterance_id, frames in pack.x[m].items():
                label = pack.labels[utterance_id]
                frames[:, label % size] += 1.5 * (frames[:, 0] != 0)
                frames *= 0.1
        return pack

    return new
