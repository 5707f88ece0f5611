"""Fault tolerance: after any fault, one `dvc repro` writes the same bytes or an error says what to do."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest
import yaml

from pipeline.conftest import ROOT, restore_ctrl_c

pytestmark = pytest.mark.slow

STAGES = {
    "synthesize": 4,
    "ingest": 6,
    "split": 4,
    "configure": 13,
    "pretrain@invariant-1-0": 2,
    "train_fusion@mmin-1-0": 2,
    "evaluate@if_mmin-1-0": 3,
    "aggregate": 10,
    "measure": 2,
    "draw": 5,
    "robustness": 2,
    "export": 6,
    "report": 1,
}
"""Stage to the number of files that it renames into place; the fault hits the last."""
FAULTS = {"kill": "", "term": "", "int": "", "full": "No space left on device."}
"""Fault to the error message that the stage must print."""


def artifacts(project):
    """Bytes of all artifacts, by path."""
    paths = (path for name in ("data", "metrics") for path in (project.folder / name).rglob("*"))
    return {
        str(path.relative_to(project.folder)): path.read_bytes()
        for path in paths
        if path.is_file() and not any(part.startswith(".writing-") for part in path.parts)
    }


def forced(project, stage, check=True, **environment):
    """Run a stage although nothing has changed, without the run-cache."""
    command = ("dvc", "repro", "--force", "--single-item", "--no-run-cache", stage)
    return project.run(*command, check=check, **environment)


def assert_restored(project, expected):
    """Assert that one `dvc repro` restores every artifact and dvc.lock."""
    project.run("dvc", "repro")
    assert artifacts(project) == expected
    assert project.run("git", "status", "--porcelain").stdout == ""


def assert_recovers(project, expected, process, message=""):
    """Assert that a failed stage left no half-written file and that the next run restores everything."""
    output = process.stdout + process.stderr
    assert process.returncode != 0
    assert "Traceback" not in output
    assert message in output
    left = artifacts(project)
    assert {path for path in left if left[path] != expected[path]} == set(), "half-written files"
    assert_restored(project, expected)


WRITERS = ("ingest", "pretrain@invariant-1-0", "export")
"""One stage per way of writing (arrays and tables, weights, a folder). .ci/run tries only these."""


@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=pytest.mark.gate) if stage in WRITERS else stage for stage in STAGES]
)
def test_a_fault_during_a_write_is_repaired_by_the_next_repro(project, stage):
    """The fault comes just before the last file is renamed; the others are in place."""
    expected = artifacts(project)
    for fault, message in FAULTS.items():
        env = {
            "FAULT": fault,
            "FAULT_AT": str(STAGES[stage]),
            "PYTHONPATH": str(ROOT / "tests/faults"),
        }
        assert_recovers(project, expected, forced(project, stage, check=False, **env), message)


@contextmanager
def mounted(folder, *options):
    """Mount something on a folder; skip the test if that is not allowed."""
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def full(folder):
    """Replace a folder by a full disk with the same content."""
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
    ("broken", "message"), [(full, "No space left on device."), (read_only, "Read-only file system.")]
)
@pytest.mark.parametrize("stage", STAGES)
def test_a_full_or_read_only_disk_leaves_existing_files_unchanged(project, stage, broken, message):
    entry = yaml.safe_load(project.read("dvc.lock"))["stages"][stage]
    out = project.folder / entry["outs"][-1]["path"]
    folder = out if out.is_dir() and stage != "export" else out.parent
    expected = artifacts(project)
    with broken(folder):
        done = project.run("sh", "-c", entry["cmd"], check=False)
        during = artifacts(project)

    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.endswith(message), done.stderr
    assert str(folder.relative_to(project.folder)) in last
    assert {path for path in during if path in expected and during[path] != expected[path]} == set()
    assert artifacts(project) == expected
    assert not list(project.folder.rglob(".writing-*"))


def cached(project, path):
    """The cache file of an output."""
    stages = yaml.safe_load(project.read("dvc.lock"))["stages"].values()
    [digest] = [out["md5"] for stage in stages for out in stage.get("outs", []) if out["path"] == path]
    return project.folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]


@pytest.mark.gate
@pytest.mark.parametrize("path", ["data/models/if_mmin/1-0.safetensors", "metrics/table1.csv"])
def test_repro_restores_a_missing_or_truncated_artifact(project, path):
    expected = artifacts(project)
    for damage in (lambda file: file.unlink(), lambda file: file.write_bytes(expected[path][:100])):
        file = project.folder / path
        file.chmod(0o644)
        file.unlink()
        file.write_bytes(expected[path])
        damage(file)
        assert_restored(project, expected)


def test_repro_replaces_a_truncated_file_in_the_cache(project):
    path = "data/models/if_mmin/1-0.safetensors"
    expected, cache_file = artifacts(project), cached(project, path)
    cache_file.chmod(0o644)
    cache_file.write_bytes(expected[path][:100])
    (project.folder / path).unlink()

    output = project.run("dvc", "repro").stderr

    assert "Traceback" not in output
    assert artifacts(project) == expected, "the first run detects the broken cache file and recomputes it"
    assert_restored(project, expected)


def test_repro_ignores_a_truncated_checkpoint(project):
    expected = artifacts(project)
    env = {"FAULT": "kill", "FAULT_AT": "1", "PYTHONPATH": str(ROOT / "tests/faults")}
    forced(project, "train_fusion@mmin-1-0", check=False, **env)
    [checkpoint] = (project.folder / "checkpoints").glob("*.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])

    assert_restored(project, expected)


@pytest.mark.parametrize("content", ["", "stages: {", "<<<<<<< HEAD\n"])
def test_a_broken_dvc_lock_is_reported_and_git_restores_it(project, content):
    expected = artifacts(project)
    (project.folder / "dvc.lock").write_text(content, "utf-8")

    done = project.run("dvc", "repro", check=False)

    if done.returncode:
        assert "dvc.lock" in done.stderr
        assert "Traceback" not in done.stderr
        project.run("git", "checkout", "dvc.lock")
    assert_restored(project, expected)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", [["dvc", "repro"], [sys.executable, "-m", "ifmmin", "run", "-j", "2"]])
def test_a_signal_stops_everything_within_seconds_and_quietly(project, command, number):
    expected = artifacts(project)
    for folder in ("data/encoders", "data/models", "data/predictions", ".dvc/cache"):
        shutil.rmtree(project.folder / folder)
    with (project.folder / "logs/output").open("w+") as log:
        process = subprocess.Popen(
            command,
            cwd=project.folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=restore_ctrl_c,
        )
        end = time.monotonic() + 300
        while not list((project.folder / "data").glob("encoders/*/*")):
            assert time.monotonic() < end, "no pretraining finished"
            time.sleep(0.05)

        start = time.monotonic()
        os.killpg(process.pid, number)
        status = process.wait(20)

        log.seek(0)
        assert "Traceback" not in log.read()
    assert status != 0
    assert time.monotonic() - start < 10
    project.run(sys.executable, "-m", "ifmmin", "run", "-j", "2")
    assert_restored(project, expected)


def test_the_pipeline_needs_no_network(reproduced, tmp_path):
    """The whole pipeline from scratch, in a namespace whose only network is its own loopback."""
    clone = reproduced.clone(tmp_path / "clone")
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("network namespaces are not allowed here")

    offline = ["unshare", "-rn", sys.executable, str(ROOT / "tests/faults/offline.py")]
    clone.run(*offline, sys.executable, "-m", "ifmmin", "run", "-j", "2")

    assert artifacts(clone) == artifacts(reproduced)
    assert clone.run("git", "status", "--porcelain").stdout == ""
