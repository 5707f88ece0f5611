"""Exported models: the folder and the stage that writes it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml

from conftest import ROOT, SIZES
from ifmmin import systems
from ifmmin.core.files import ArtifactError
from ifmmin.corpus import features, folds
from ifmmin.deploy import exports
from ifmmin.evaluation import predictions
from ifmmin.nn.sequences import from_padded
from ifmmin.results import table1, tables
from ifmmin.training import weights
from models import CLASSES, header, known, model

FILES = {
    "LICENSE.md",
    "README.md",
    "config.json",
    "model.onnx",
    "model.safetensors",
    "preprocessor_config.json",
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(folder, model, card="a card"):
    exports.write(
        folder, model=model, onnx=b"onnx", config={"b": 1, "a": 2}, preprocessor={}, card=card, licence="MIT"
    )


@pytest.fixture
def trained(tmp_path):
    path = tmp_path / "trained"
    path.write_bytes(b"weights")
    return path


def test_an_export_replaces_an_older_one_completely(trained, tmp_path):
    folder = tmp_path / "deep" / "folder"
    write(folder, trained)
    (folder / "stale").touch()

    write(folder, trained, card="another")

    files = contents(folder)
    assert files.keys() == FILES
    assert files["model.safetensors"] == b"weights"
    assert files["README.md"] == b"another"
    assert [path.name for path in folder.parent.iterdir()] == ["folder"]


def test_a_failed_export_keeps_the_older_one(trained, tmp_path):
    folder = tmp_path / "deep" / "folder"
    write(folder, trained)
    before = contents(folder)

    with pytest.raises(FileNotFoundError):
        write(folder, tmp_path / "missing", card="another")

    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["folder"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_file_or_folder_that_is_not_an_export_is_kept(kind, trained, tmp_path):
    target = tmp_path / "mine"
    if kind == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").touch()

    with pytest.raises(ArtifactError, match=r"mine: exists and is not an export; .* Pass another folder"):
        write(target, trained)

    assert target.exists()


def test_an_empty_folder_is_filled(trained, tmp_path):
    (tmp_path / "empty").mkdir()

    write(tmp_path / "empty", trained)

    assert contents(tmp_path / "empty").keys() == FILES


def corpus(folder):
    """A corpus of three speakers, one per role, with twelve utterances each; some have very few words."""
    draw = np.random.default_rng(0)
    index = pd.DataFrame(
        {
            "utterance_id": [f"{speaker}{n:02d}" for speaker in "abc" for n in range(12)],
            "speaker": np.repeat(list("abc"), 12),
            "label": np.arange(36) % 4,
        }
    )
    for m, size in SIZES.items():
        lengths = draw.integers(1, 9, 36)
        features.write_frames(folder, m, [draw.standard_normal((T, size), np.float32) for T in lengths])
        index[f"{m}_offset"], index[f"{m}_length"] = np.cumsum(lengths) - lengths, lengths
    about = {"name": "a corpus", "classes": CLASSES, "synthetic": False, "iemocap": False}
    none = pd.DataFrame({"fold": np.zeros(0, np.int64), "utterance_id": "", "role": ""})
    features.write_tables(folder, index, none, about)
    return index


@pytest.fixture
def arguments(tmp_path):
    """A function that writes what the stage reads for a system and returns the stage's arguments."""

    def write_inputs(name):
        index = corpus(tmp_path / "features")
        role = index["speaker"].map({"a": "train", "b": "validation", "c": "test"})
        folds.write(tmp_path / "1.parquet", index[["utterance_id"]].assign(role=role))
        weights.write(tmp_path / "model.safetensors", model(name).state_dict(), header(name))
        test = index[role == "test"]
        parts = []
        for c in known(name):
            logits = np.random.default_rng(len(parts)).standard_normal((12, 4), np.float32)
            part = test[["utterance_id"]].assign(condition=c, label=test["label"], predicted=logits.argmax(1))
            parts.append(part.assign(**{f"logit_{label}": logits[:, k] for k, label in enumerate(CLASSES)}))
        predicted = pd.concat(parts, ignore_index=True)
        run = {"system": name, "fold": 1, "seed": 0}
        predictions.write(tmp_path / "test.parquet", predicted, CLASSES, run)
        tables.write_scores(tmp_path / "scores.csv", table1.scores({(name, 1, 0): predicted}, 4))
        names = {"model": "model.safetensors", "fold": "1.parquet", "scores": "scores.csv"}
        names |= {"features": "features", "predictions": "test.parquet", "params": "params.yaml"}
        shutil.copy(ROOT / "params.yaml", tmp_path)
        return [word for key, path in names.items() for word in (f"--{key}", tmp_path / path)]

    return write_inputs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["if_mmin", "late_fusion_per_condition"])
def test_two_exports_of_a_model_have_the_same_bytes_and_all_files(
    name, arguments, stage, tmp_path, monkeypatch
):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    options = arguments(name)
    runs = [stage("export", *options, "--out", tmp_path / out) for out in ("one", "two")]

    assert [run.code for run in runs] == [0, 0], runs
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one").keys() == FILES
    logged = json.loads((tmp_path / "logs/export.json").read_text("utf-8"))["largest_difference"]
    assert 0 < logged < 1e-5
    assert f"differ by at most {logged:.1e}" in runs[1].stderr


@pytest.mark.slow
def test_the_code_in_the_model_card_runs_in_the_folder(arguments, stage, tmp_path):
    assert stage("export", *arguments("if_mmin"), "--out", tmp_path / "out").code == 0
    card = (tmp_path / "out/README.md").read_text("utf-8")
    script = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]

    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path / "out",
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    for line in shown.splitlines():
        answer = yaml.safe_load(line)
        assert list(answer) == CLASSES
        assert sum(answer.values()) == pytest.approx(1, abs=3e-3)
    assert len(shown.splitlines()) == 2


@pytest.mark.slow
def test_the_files_of_an_export_agree_with_each_other(arguments, stage, tmp_path):
    """The system of config.json with the exported weights gives the logits of the ONNX graph."""
    assert stage("export", *arguments("mmin"), "--out", tmp_path / "out").code == 0
    config = json.loads((tmp_path / "out/config.json").read_text("utf-8"))
    scaling = json.loads((tmp_path / "out/preprocessor_config.json").read_text("utf-8"))
    system = systems.build(config["system"], start=config["start"], build=config["build"]).eval()
    system.load_state_dict(safetensors.torch.load_file(tmp_path / "out/model.safetensors"))

    x = {m: torch.randn(3, 4, size, generator=torch.Generator().manual_seed(1)) for m, size in SIZES.items()}
    scaled = x | {"a": (x["a"] - torch.tensor(scaling["mean"])) / torch.tensor(scaling["std"])}
    with torch.no_grad():
        encoded = system.encode({m: from_padded(frames) for m, frames in scaled.items()})
        O = system.predict(encoded, ["av"])["av"].O
    inputs = {m: frames.numpy() for m, frames in x.items()} | {f"{m}_length": np.full(3, 4) for m in "avt"}
    inputs["available"] = np.array([[True, True, False]] * 3)
    session = onnxruntime.InferenceSession(tmp_path / "out/model.onnx")
    p, logits = session.run(["probabilities", "logits"], inputs)
    np.testing.assert_allclose(logits, O.numpy(), rtol=1e-5, atol=1e-5)
    temperature = config["calibration"]["av"]["temperature"]
    np.testing.assert_allclose(p, (O / temperature).softmax(1).numpy(), atol=1e-5)


@pytest.mark.slow
def test_an_export_with_the_wrong_fold_fails_and_keeps_the_older_one(arguments, stage, tmp_path):
    """The predictions are of another fold's test utterances."""
    options = arguments("mctn")
    assert stage("export", *options, "--out", tmp_path / "out").code == 0
    before = contents(tmp_path / "out")
    fold = folds.read(tmp_path / "1.parquet")
    folds.write(tmp_path / "1.parquet", fold.replace({"role": {"test": "train", "train": "test"}}))

    done = stage("export", *options, "--out", tmp_path / "out")

    assert done.code == 1
    assert done.stderr.splitlines()[-1].startswith("predictions: their utterances are not the fold's test")
    assert "Traceback" not in done.stderr
    assert contents(tmp_path / "out") == before
    assert not list(Path(tmp_path).glob(".writing-*"))
