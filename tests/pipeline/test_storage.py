"""Storage as the README describes it: after push and pull, another clone has nothing to run."""

import re
import subprocess
import sys
import urllib.request

import pytest
import yaml

pytestmark = pytest.mark.slow

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def s3():
    """The address of an S3 server with one bucket."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        matches = (re.search(r"Running on (http://\S+)", line) for line in server.stderr)
        address = next(filter(None, matches))[1]
        urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT")).close()  # noqa: S310 - our own server
        yield address
        server.kill()


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_clone_pulls_tables_or_everything_and_repro_runs_nothing(kind, project, tmp_path, request):
    if kind == "folder":
        project.run("dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    else:
        project.run("dvc", "remote", "add", "-d", "store", "s3://bucket/if-mmin")
        project.run("dvc", "remote", "modify", "store", "endpointurl", request.getfixturevalue("s3"))
    project.commit("remote")
    project.run("dvc", "push", **KEYS)
    clone = project.clone(tmp_path / "clone")

    clone.run("dvc", "pull", "aggregate", **KEYS)
    tables = clone.read("metrics/table1.md"), (clone.folder / "data").exists()
    clone.run("dvc", "pull", **KEYS)

    assert tables == (project.read("metrics/table1.md"), False)
    assert clone.stages_run("repro", **KEYS) == []
    assert "up to date" in clone.run("dvc", "status").stdout
    assert clone.run("git", "status", "--porcelain").stdout == ""


def test_results_of_other_parameters_are_pushed_with_the_run_cache(project, tmp_path):
    """A clone with those parameters trains nothing and recomputes only tables and figures."""
    project.run("dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    project.commit("remote")
    project.run("dvc", "exp", "run", "-S", "lambda2=0.5")
    project.run("dvc", "push", "--run-cache")
    clone = project.clone(tmp_path / "clone")

    ran = clone.stages_run("exp", "run", "--pull", "-S", "lambda2=0.5")

    assert set(ran) <= {"aggregate", "draw", "measure", "robustness"}
    assert clone.read("metrics/table1.json") == project.read("metrics/table1.json")


def test_stale_lock_entries_are_removed_without_training(project):
    """README: after `rm dvc.lock`, dvc repro writes a new one from the run-cache."""
    params = project.folder / "params.yaml"
    params.write_text(yaml.safe_dump({**yaml.safe_load(params.read_text()), "folds": [1]}, sort_keys=False))
    project.run("dvc", "repro")
    before = yaml.safe_load(project.read("dvc.lock"))["stages"]
    (project.folder / "dvc.lock").unlink()

    ran = project.stages_run("repro")

    after = yaml.safe_load(project.read("dvc.lock"))["stages"]
    assert ran == []
    assert {name for name in before if name not in after} == {name for name in before if name.endswith("2-0")}
    assert all(after[name] == before[name] for name in after)


def test_gc_keeps_what_the_workspace_needs(project):
    project.run("dvc", "exp", "run", "-S", "lambda2=0.5")
    project.run("dvc", "gc", "--workspace", "--force")

    assert project.stages_run("repro") == []
    assert "up to date" in project.run("dvc", "status").stdout
