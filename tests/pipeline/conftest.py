"""A small copy of this project, reproduced once per session: the real dvc.yaml and code on a tiny corpus."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


class Project:
    """A copy of the project in its own folder and git repository."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, *command, check=True, **environment):
        """Run a command there and return the completed process, with text output."""
        clean = environment_of(self)
        done = subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**clean, "DVC_NO_ANALYTICS": "true", **environment},
        )
        assert not check or done.returncode == 0, (
            f"{command} exited {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        )
        return done

    def stages_run(self, *command, **environment):
        """Run a dvc command and return the stages that it reports as run."""
        return re.findall(r"Running stage '([^']+)'", self.run("dvc", *command, **environment).stdout)

    def commit(self, message):
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", message)

    def read(self, path):
        return (self.folder / path).read_text("utf-8")

    def clone(self, folder):
        """Clone the committed state, without the cache."""
        subprocess.run(["git", "clone", "-q", str(self.folder), str(folder)], check=True)
        return configured(Project(folder))


def environment_of(project):
    """The environment of a command there; a folder without the library uses this repository's."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "DVC_", "IFMMIN_"))}
    return clean if (project.folder / "ifmmin").exists() else {**clean, "PYTHONPATH": str(ROOT)}


def restore_ctrl_c():
    """React to Ctrl-C as on a terminal: processes that a shell runs in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def configured(project):
    project.run("git", "config", "user.name", "test")
    project.run("git", "config", "user.email", "test@localhost")
    return project


def shrink(params):
    """Shrink the demonstration to a few seconds; its scores do not matter here."""
    content = yaml.safe_load(params.read_text("utf-8"))
    content["synthesize"] |= {"utterances_per_speaker": 16, "sizes": {"a": 6, "v": 5, "t": 7}}
    content["model"] |= {"hidden": 8, "filters": 8, "autoencoder": [16, 8, 4], "classifier": [8, 8]}
    short = {"epochs_constant": 1, "epochs_decay": 1}
    for group in ("pretrain", "train"):
        content[group] |= {**short, "on_collapse": "warn"}
    for entry in (entry for kind in content["systems"].values() for entry in kind.values()):
        entry |= {key: n for key, n in short.items() if key in entry}
    params.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")


def copied(folder):
    """Copy the files that git tracks or would add into a new repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    for name in filter(None, listed):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    project = Project(folder)
    project.run("git", "init", "-q")
    return configured(project)


def add_system(project):
    """Add the system of docs/add_a_system.md as the guide says, and return its name."""
    guide = project.read("docs/add_a_system.md")
    name = re.search(r"here `(\w+)\.py`", guide)[1]
    source = guide.split("```python\n")[1].split("```")[0]
    (project.folder / f"ifmmin/systems/{name}.py").write_text(source, "utf-8")
    params = yaml.safe_load(project.read("params.yaml"))
    params["systems"]["invariant"][name] = {}
    params["rows"].append(name)
    (project.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    return name


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory):
    """The small project, reproduced in parallel and committed. Tests clone or copy it and never change it.

    The first pytest-xdist process makes it for all. A test in test_parallel.py checks that `dvc repro` writes
    the same bytes.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "reproduced"
    with folder.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            unfinished.mkdir()
            project = copied(unfinished)
            shrink(project.folder / "params.yaml")
            project.commit("small")
            project.run(sys.executable, "-m", "ifmmin", "run", "-j", "2")
            project.commit("reproduced")
            unfinished.rename(folder)
    return Project(folder)


@pytest.fixture
def project(reproduced, tmp_path):
    """A copy of the reproduced project with its cache, which a test may change."""
    shutil.copytree(reproduced.folder, tmp_path / "copy", symlinks=True)
    return Project(tmp_path / "copy")
