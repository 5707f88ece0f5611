"""Checkpoints: what they keep, and which runs may resume from them."""

import os

import pytest
import torch

from ifmmin.training import checkpoints
from ifmmin.training.checkpoints import LARGE, Checkpoint


@pytest.fixture
def identity(tmp_path, monkeypatch):
    """The inputs and settings that identify a run, in a new folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "a.npy").write_bytes(b"frames")
    (tmp_path / "config.json").write_text("{}")
    return {
        "features": tmp_path / "features",
        "config": tmp_path / "config.json",
        "seed": 0,
        "device": "cpu",
        "precision": "float32",
    }


STATE = {"history": [{"epoch": 1, "L": 0.5}], "weights": {"w": torch.ones(2)}}


def test_a_checkpoint_is_loaded_until_it_is_removed(identity):
    checkpoint = Checkpoint("train-x-1-0", identity)
    assert checkpoint.load() is None

    checkpoint.save({"history": []})
    checkpoint.save(STATE)

    loaded = Checkpoint("train-x-1-0", identity).load()
    assert loaded["history"] == STATE["history"]
    assert torch.equal(loaded["weights"]["w"], STATE["weights"]["w"])
    checkpoint.remove()
    assert Checkpoint("train-x-1-0", identity).load() is None
    assert list(checkpoint.path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"), [("seed", 1), ("device", "cuda"), ("precision", "bf16"), ("torch", "3.0")]
)
def test_a_run_with_other_settings_finds_no_checkpoint(identity, name, value):
    Checkpoint("train-x-1-0", identity).save(STATE)

    assert Checkpoint("train-x-1-0", {**identity, name: value}).load() is None


@pytest.mark.parametrize("path", ["features/a.npy", "config.json", "features/new.parquet"])
def test_a_run_with_changed_inputs_finds_no_checkpoint(identity, tmp_path, path):
    Checkpoint("train-x-1-0", identity).save(STATE)

    (tmp_path / path).write_bytes(b"others")

    assert Checkpoint("train-x-1-0", identity).load() is None


def test_a_large_input_is_compared_by_modification_time(identity, tmp_path):
    frames = tmp_path / "features" / "a.npy"
    with frames.open("wb") as file:
        file.truncate(LARGE)
    os.utime(frames, ns=(1, 1))
    Checkpoint("train-x-1-0", identity).save(STATE)
    assert Checkpoint("train-x-1-0", identity).load() is not None

    os.utime(frames, ns=(1, 2))

    assert Checkpoint("train-x-1-0", identity).load() is None


def test_an_unreadable_checkpoint_is_ignored_with_a_warning(identity, caplog):
    checkpoint = Checkpoint("train-x-1-0", identity)
    checkpoint.save(STATE)
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:100])

    assert checkpoint.load() is None
    assert "train-x-1-0.pt: not readable" in caplog.text


def test_an_interrupted_save_keeps_the_previous_checkpoint(identity, monkeypatch):
    checkpoint = Checkpoint("train-x-1-0", identity)
    checkpoint.save(STATE)

    def interrupted_save(content, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted_save)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save({"history": []})

    assert checkpoint.load()["history"] == STATE["history"]


def test_a_run_with_changed_code_finds_no_checkpoint(identity, tmp_path, monkeypatch):
    """A change of the package or of the stage scripts invalidates a checkpoint."""
    code = tmp_path / "ifmmin" / "training"
    code.mkdir(parents=True)
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "train.py").write_text("1")
    monkeypatch.setattr(checkpoints, "__file__", str(code / "checkpoints.py"))
    Checkpoint("train-x-1-0", identity).save(STATE)
    assert Checkpoint("train-x-1-0", identity).load() is not None

    (tmp_path / "stages" / "train.py").write_text("2")

    assert Checkpoint("train-x-1-0", identity).load() is None


def test_a_missing_input_is_named(identity, tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        Checkpoint("train-x-1-0", {**identity, "fold": tmp_path / "elsewhere"})
