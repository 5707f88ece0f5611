"""A training whose process is killed goes on where it was, and ends with the same bytes."""

import json
import os
import subprocess
import sys

import pytest

from conftest import ROOT, needs_bf16

pytestmark = pytest.mark.slow

EPOCHS = 40
MADE = ("weights.safetensors", "history.csv")


@pytest.fixture(params=[pytest.param("train", marks=pytest.mark.gate), "pretrain"])
def command(request, reproduced, tmp_path):
    """IF-MMIN of the small project, or its encoders, trained into the folder where it runs."""
    script, name = request.param, {"train": "if_mmin", "pretrain": "invariant"}[request.param]
    config = json.loads(reproduced.read(f"data/configs/{name}.json"))
    config["fit"] |= {"epochs_constant": EPOCHS, "epochs_decay": 0}
    (tmp_path / "config.json").write_text(json.dumps(config))
    data = reproduced.folder / "data"
    given = {
        "config": tmp_path / "config.json",
        "features": data / "features",
        "fold": data / "folds" / "1.parquet",
        "scaling": data / "folds" / "1_scaling.json",
        "seed": 0,
        "history": MADE[1],
    }
    if script == "train":
        given["encoders"] = data / "encoders" / "invariant" / "1-0.safetensors"
    given["model" if script == "train" else "encoders"] = MADE[0]
    options = [str(word) for option, value in given.items() for word in (f"--{option}", value)]
    return [sys.executable, "-m", f"stages.{script}", name, *options]


def started(command, cwd, **environment):
    cwd.mkdir(exist_ok=True)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("IFMMIN_")}
    return subprocess.Popen(
        command,
        cwd=cwd,
        stderr=subprocess.PIPE,
        text=True,
        env={**clean, "PYTHONPATH": str(ROOT), "IFMMIN_DEVICE": "cpu", **environment},
    )


def finished(process):
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def killed(process, epoch):
    """Kill it, as nothing can be caught, when it says that it has done so many epochs."""
    with process:
        for line in process.stderr:
            if f"epoch {epoch} of {EPOCHS}" in line:
                process.kill()
    assert process.returncode == -9


def made(folder):
    return [(folder / name).read_bytes() for name in MADE]


def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(command, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finished(started(command, whole))
    for epoch in (3, 8):  # twice
        killed(started(command, cut), epoch)
        assert not any((cut / name).exists() for name in MADE)

    said = finished(started(command, cut))

    assert "resuming after epoch" in said
    assert made(cut) == made(whole)
    assert list((cut / "checkpoints").iterdir()) == []


@needs_bf16
def test_in_another_precision_it_starts_anew(command, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finished(started(command, whole, IFMMIN_PRECISION="bf16"))
    killed(started(command, cut), 3)

    said = finished(started(command, cut, IFMMIN_PRECISION="bf16"))

    assert "goes on" not in said
    assert made(cut) == made(whole)
