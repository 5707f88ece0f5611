"""A killed training resumes from its checkpoint and writes the same bytes."""

import json
import os
import subprocess
import sys

import pytest

from conftest import ROOT, needs_bf16

pytestmark = pytest.mark.slow

EPOCHS = 40
ARTIFACTS = ("weights.safetensors", "history.csv")


@pytest.fixture(params=[pytest.param("train", marks=pytest.mark.gate), "pretrain"])
def command(request, reproduced, tmp_path):
    """A command that trains the small project's IF-MMIN, or its encoders, into the working folder."""
    script, name = request.param, {"train": "if_mmin", "pretrain": "invariant"}[request.param]
    config = json.loads(reproduced.read(f"data/configs/{name}.json"))
    config["fit"] |= {"epochs_constant": EPOCHS, "epochs_decay": 0}
    (tmp_path / "config.json").write_text(json.dumps(config))
    data = reproduced.folder / "data"
    options = {
        "config": tmp_path / "config.json",
        "features": data / "features",
        "fold": data / "folds" / "1.parquet",
        "scaling": data / "folds" / "1_scaling.json",
        "seed": 0,
        "history": ARTIFACTS[1],
    }
    if script == "train":
        options["encoders"] = data / "encoders" / "invariant" / "1-0.safetensors"
    options["model" if script == "train" else "encoders"] = ARTIFACTS[0]
    words = [str(word) for option, value in options.items() for word in (f"--{option}", value)]
    return [sys.executable, "-m", f"stages.{script}", name, *words]


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
    _, output = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output


def killed(process, epoch):
    """Send SIGKILL when the log reports this epoch."""
    with process:
        for line in process.stderr:
            if f"epoch {epoch} of {EPOCHS}" in line:
                process.kill()
    assert process.returncode == -9


def artifacts(folder):
    return [(folder / name).read_bytes() for name in ARTIFACTS]


def test_a_training_killed_twice_resumes_and_writes_the_same_bytes(command, tmp_path):
    undisturbed, killed_run = tmp_path / "undisturbed", tmp_path / "killed"
    finished(started(command, undisturbed))
    for epoch in (3, 8):
        killed(started(command, killed_run), epoch)
        assert not any((killed_run / name).exists() for name in ARTIFACTS)

    log = finished(started(command, killed_run))

    assert "resuming after epoch" in log
    assert artifacts(killed_run) == artifacts(undisturbed)
    assert list((killed_run / "checkpoints").iterdir()) == []


@needs_bf16
def test_a_checkpoint_of_another_precision_is_not_resumed(command, tmp_path):
    undisturbed, killed_run = tmp_path / "undisturbed", tmp_path / "killed"
    finished(started(command, undisturbed, IFMMIN_PRECISION="bf16"))
    killed(started(command, killed_run), 3)

    log = finished(started(command, killed_run, IFMMIN_PRECISION="bf16"))

    assert "resuming" not in log
    assert artifacts(killed_run) == artifacts(undisturbed)
