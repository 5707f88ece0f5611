"""The project of a command: the current folder or the nearest parent with the project's files, as in git."""

import shlex
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ifmmin.core.errors import UserError

PROJECT_FILES = ("dvc.yaml", "params.yaml")
"""Files that identify a project."""

CONFLICT = ("<<<<<<<", ">>>>>>>")
"""Prefixes of git's conflict markers."""

CODE = ("ifmmin", "stages", "presets", "params.yaml", "dvc.yaml", "requirements.txt")
"""What results depend on, apart from data."""

DIFFER = 'dvc.lock differs from the commit. If you changed nothing, see "Another machine" in README.md.'
"""Hint for when `results_differ` is true."""


def find() -> Path | None:
    """Return the folder of the project; None if there is none here or above."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if all((folder / name).is_file() for name in PROJECT_FILES):
            return folder
    return None


def root() -> Path:
    """Return the folder of the project.

    Raises:
        UserError: if there is none here or above.
    """
    folder = find()
    if folder is None:
        raise UserError(
            f"{Path.cwd()}: is not inside a project; expected {' and '.join(PROJECT_FILES)} in this folder "
            "or above. Go to your clone of the repository."
        )
    return folder


def check_merged(folder: Path) -> None:
    """Check params.yaml, dvc.yaml and dvc.lock for conflict markers of a merge.

    Raises:
        UserError: if a file has conflict markers; the message explains how to resolve them.
    """
    for name in (*PROJECT_FILES, "dvc.lock"):
        path = folder / name
        lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
        if any(line.startswith(CONFLICT) for line in lines):
            raise UserError(
                f"{name}: has unresolved merge conflicts; expected a file without conflict markers. Resolve "
                "params.yaml, take one side of the results (git checkout --ours dvc.lock metrics), and run "
                "again: results of both sides come from the cache."
            )


def options(dvc_yaml: str, stage: str) -> dict[str, str]:
    """Return the options of a stage's command, such as "--csv" to a path; empty if there are none.

    Args:
        dvc_yaml: content of dvc.yaml.
        stage: name of the stage.
    """
    return {
        name: value
        for name, value in pairwise(shlex.split(_stages(dvc_yaml).get(stage, {}).get("cmd", "")))
        if name.startswith("--")
    }


def commit(folder: Path) -> str:
    """Name the commit of the folder, and say whether the code or the parameters differ from it."""
    revision = _git(folder, "rev-parse", "HEAD")
    if revision.returncode:
        return f"unknown ({revision.stderr.strip()})"
    changed = _git(folder, "--no-optional-locks", "status", "--porcelain", "--", *CODE).stdout
    suffix = ", with uncommitted changes to code or parameters" if changed else ""
    return revision.stdout.strip()[:10] + suffix


def results_differ(folder: Path) -> bool:
    """Return whether dvc.lock, and nothing but results, differs from the commit."""
    status = _git(folder, "status", "--porcelain", "--untracked-files=no").stdout
    changed = {Path(line[3:].strip('"')).parts[0] for line in status.splitlines()}
    return "dvc.lock" in changed and changed <= {"dvc.lock", "metrics"}


@cache
def _stages(dvc_yaml: str) -> dict[str, Any]:
    """Parse the stages once: a command asks for the options of several."""
    stages: dict[str, Any] = YAML(typ="safe", pure=True).load(dvc_yaml)["stages"]
    return stages


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ("git", *arguments)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)  # noqa: S603 - fixed commands
