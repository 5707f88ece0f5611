"""What is kept of a training in the middle, and for whom."""

import os

import pytest
import torch

from ifmmin.training import checkpoints
from ifmmin.training.checkpoints import LARGE, Checkpoint


@pytest.fixture
def given(tmp_path, monkeypatch):
    """What determines a run, in a folder of its own."""
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


def test_what_was_saved_is_loaded_until_it_is_removed(given):
    checkpoint = Checkpoint("train-x-1-0", given)
    assert checkpoint.load() is None

    checkpoint.save({"history": []})
    checkpoint.save(STATE)

    found = Checkpoint("train-x-1-0", given).load()
    assert found["history"] == STATE["history"]
    assert torch.equal(found["weights"]["w"], STATE["weights"]["w"])
    checkpoint.remove()
    assert Checkpoint("train-x-1-0", given).load() is None
    assert list(checkpoint.path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"), [("seed", 1), ("device", "cuda"), ("precision", "bf16"), ("torch", "3.0")]
)
def test_another_run_finds_nothing(given, name, value):
    Checkpoint("train-x-1-0", given).save(STATE)

    assert Checkpoint("train-x-1-0", {**given, name: value}).load() is None


@pytest.mark.parametrize("path", ["features/a.npy", "config.json", "features/new.parquet"])
def test_another_input_finds_nothing(given, tmp_path, path):
    Checkpoint("train-x-1-0", given).save(STATE)

    (tmp_path / path).write_bytes(b"others")

    assert Checkpoint("train-x-1-0", given).load() is None


def test_a_large_input_counts_by_the_time_of_its_last_change(given, tmp_path):
    frames = tmp_path / "features" / "a.npy"
    with frames.open("wb") as file:
        file.truncate(LARGE)
    os.utime(frames, ns=(1, 1))
    Checkpoint("train-x-1-0", given).save(STATE)
    assert Checkpoint("train-x-1-0", given).load() is not None

    os.utime(frames, ns=(1, 2))

    assert Checkpoint("train-x-1-0", given).load() is None


def test_a_file_that_cannot_be_read_is_none_and_says_so(given, caplog):
    checkpoint = Checkpoint("train-x-1-0", given)
    checkpoint.save(STATE)
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:100])

    assert checkpoint.load() is None
    assert "train-x-1-0.pt: not readable" in caplog.text


def test_a_save_that_is_cut_off_leaves_the_one_before(given, monkeypatch):
    checkpoint = Checkpoint("train-x-1-0", given)
    checkpoint.save(STATE)

    def cut_off(content, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save({"history": []})

    assert checkpoint.load()["history"] == STATE["history"]


def test_the_code_counts(given, tmp_path, monkeypatch):
    """Of the package that this module stands in, and of the scripts beside it."""
    code = tmp_path / "ifmmin" / "training"
    code.mkdir(parents=True)
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "train.py").write_text("1")
    monkeypatch.setattr(checkpoints, "__file__", str(code / "checkpoints.py"))
    Checkpoint("train-x-1-0", given).save(STATE)
    assert Checkpoint("train-x-1-0", given).load() is not None

    (tmp_path / "stages" / "train.py").write_text("2")

    assert Checkpoint("train-x-1-0", given).load() is None


def test_an_input_that_is_not_there_is_named(given, tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        Checkpoint("train-x-1-0", {**given, "fold": tmp_path / "elsewhere"})
