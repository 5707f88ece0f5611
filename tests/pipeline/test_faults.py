"""Whatever strikes, one `dvc repro` ends with the same bytes, or a sentence says what a person must do."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest
import yaml

from pipeline.conftest import ROOT, hear_ctrl_c

pytestmark = pytest.mark.slow

STAGES = {
    "synthesize": 4,
    "ingest": 6,
    "split": 4,
    "configure": 11,
    "pretrain@invariant-1-0": 2,
    "train_fusion@mmin-1-0": 2,
    "evaluate@if_mmin-1-0": 3,
    "aggregate": 10,
    "draw": 5,
    "robustness": 2,
    "export": 6,
    "report": 1,
}
"""Stage to the number of names that it gives, of which the last is struck."""
FAULTS = {"kill": "", "term": "", "int": "", "full": "No space left on device."}
"""What strikes, and what is said of it."""


def made(project):
    """Bytes of all that the pipeline makes, by path."""
    paths = (path for name in ("data", "metrics") for path in (project.folder / name).rglob("*"))
    return {
        str(path.relative_to(project.folder)): path.read_bytes()
        for path in paths
        if path.is_file() and not any(part.startswith(".writing-") for part in path.parts)
    }


def forced(project, stage, check=True, **environment):
    """Run a stage although nothing has changed, and nothing from the run-cache."""
    command = ("dvc", "repro", "--force", "--single-item", "--no-run-cache", stage)
    return project.run(*command, check=check, **environment)


def mended(project, expected):
    """See that one `dvc repro` leaves what was there before, dvc.lock included: nothing is left to do."""
    project.run("dvc", "repro")
    assert made(project) == expected
    assert project.run("git", "status", "--porcelain").stdout == ""


def survives(project, expected, done, sentence=""):
    """See that a stage that was struck left no half file, and that the next run mends it."""
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in said
    assert sentence in said
    there = made(project)
    assert {path for path in there if there[path] != expected[path]} == set(), "no file is half written"
    mended(project, expected)


WRITERS = ("ingest", "pretrain@invariant-1-0", "export")
"""One stage for each way of writing (arrays and tables, weights, a folder), which .ci/run tries."""


@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=pytest.mark.gate) if stage in WRITERS else stage for stage in STAGES]
)
def test_a_stage_that_is_struck_while_it_writes(project, stage):
    """Before its last file has its name: the others are there."""
    expected = made(project)
    for fault, sentence in FAULTS.items():
        strike = {"FAULT": fault, "FAULT_AT": str(STAGES[stage]), "PYTHONPATH": str(ROOT / "tests/faults")}
        survives(project, expected, forced(project, stage, check=False, **strike), sentence)


@contextmanager
def mounted(folder, *options):
    """Mount something on a folder for a while; skips where that is not allowed."""
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def full(folder):
    """A disk in place of a folder, with all that is in it, and no byte free."""
    aside = folder.with_name("aside")
    shutil.copytree(folder, aside)
    try:
        with mounted(folder, "-t", "tmpfs", "-o", "size=64m", "tmpfs"):
            shutil.copytree(aside, folder, dirs_exist_ok=True)
            with suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(1 << 12))
            yield
    finally:
        shutil.rmtree(aside)


def read_only(folder):
    return mounted(folder, "--bind", "-o", "ro", str(folder))


@pytest.mark.parametrize(
    ("spoiled", "sentence"), [(full, "No space left on device."), (read_only, "Read-only file system.")]
)
@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_is_really_full_or_may_not_be_written(project, stage, spoiled, sentence):
    """Whatever library writes, and into whatever file; what was there is there as it was."""
    about = yaml.safe_load(project.read("dvc.lock"))["stages"][stage]
    out = project.folder / about["outs"][-1]["path"]
    folder = out if out.is_dir() and stage != "export" else out.parent
    expected = made(project)
    with spoiled(folder):
        done = project.run("sh", "-c", about["cmd"], check=False)
        there = made(project)

    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.endswith(sentence), done.stderr
    assert str(folder.relative_to(project.folder)) in last
    assert {path for path in there if path in expected and there[path] != expected[path]} == set()
    assert made(project) == expected
    assert not list(project.folder.rglob(".writing-*"))


def cached(project, path):
    """Where the cache keeps an output."""
    stages = yaml.safe_load(project.read("dvc.lock"))["stages"].values()
    [digest] = [out["md5"] for stage in stages for out in stage.get("outs", []) if out["path"] == path]
    return project.folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]


@pytest.mark.gate
@pytest.mark.parametrize("path", ["data/models/if_mmin/1-0.safetensors", "metrics/table1.csv"])
def test_an_artifact_that_is_gone_or_cut_short_in_the_workspace(project, path):
    expected = made(project)
    for spoil in (lambda file: file.unlink(), lambda file: file.write_bytes(expected[path][:100])):
        file = project.folder / path
        file.chmod(0o644)
        file.unlink()
        file.write_bytes(expected[path])
        spoil(file)
        mended(project, expected)


def test_an_artifact_that_is_cut_short_in_the_cache(project):
    path = "data/models/if_mmin/1-0.safetensors"
    expected, kept = made(project), cached(project, path)
    kept.chmod(0o644)
    kept.write_bytes(expected[path][:100])
    (project.folder / path).unlink()

    said = project.run("dvc", "repro").stderr

    assert "Traceback" not in said
    assert made(project) == expected, "the first run finds that the cache is broken, and makes it anew"
    mended(project, expected)


def test_a_checkpoint_that_is_no_checkpoint(project):
    expected = made(project)
    strike = {"FAULT": "kill", "FAULT_AT": "1", "PYTHONPATH": str(ROOT / "tests/faults")}
    forced(project, "train_fusion@mmin-1-0", check=False, **strike)
    [checkpoint] = (project.folder / "checkpoints").glob("*.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])

    mended(project, expected)


@pytest.mark.parametrize("content", ["", "stages: {", "<<<<<<< HEAD\n"])
def test_a_lock_that_is_broken_is_said_and_git_has_it(project, content):
    expected = made(project)
    (project.folder / "dvc.lock").write_text(content, "utf-8")

    done = project.run("dvc", "repro", check=False)

    if done.returncode:
        assert "dvc.lock" in done.stderr
        assert "Traceback" not in done.stderr
        project.run("git", "checkout", "dvc.lock")
    mended(project, expected)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", [["dvc", "repro"], [sys.executable, "-m", "ifmmin", "run", "-j", "2"]])
def test_a_signal_ends_all_within_seconds_and_without_a_storm(project, command, sent):
    expected = made(project)
    for folder in ("data/encoders", "data/models", "data/predictions", ".dvc/cache"):
        shutil.rmtree(project.folder / folder)
    with (project.folder / "logs/said").open("w+") as log:
        running = subprocess.Popen(
            command,
            cwd=project.folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=hear_ctrl_c,
        )
        end = time.monotonic() + 300
        while not list((project.folder / "data").glob("encoders/*/*")):
            assert time.monotonic() < end, "no pretraining ended"
            time.sleep(0.05)

        began = time.monotonic()
        os.killpg(running.pid, sent)
        status = running.wait(20)

        log.seek(0)
        assert "Traceback" not in log.read()
    assert status != 0
    assert time.monotonic() - began < 10
    project.run(sys.executable, "-m", "ifmmin", "run", "-j", "2")
    mended(project, expected)


def test_nothing_needs_a_network(reproduced, tmp_path):
    """The demonstration in a namespace that has no network but its own loopback, from nothing."""
    clone = reproduced.clone(tmp_path / "clone")
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("no namespace of its own is allowed here")

    offline = ["unshare", "-rn", sys.executable, str(ROOT / "tests/faults/offline.py")]
    clone.run(*offline, sys.executable, "-m", "ifmmin", "run", "-j", "2")

    assert made(clone) == made(reproduced)
    assert clone.run("git", "status", "--porcelain").stdout == ""
