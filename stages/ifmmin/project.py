"""Where the project is that a command is about: the folder it is called in, or one above, as git has it."""

import subprocess
from pathlib import Path

from ifmmin.errors import UserError

MARKS = ("dvc.yaml", "params.yaml")
"""Files that a project has."""

CONFLICT = ("<<<<<<<", ">>>>>>>")
"""What begins the lines that git leaves around the two sides of a merge."""

DIFFER = "dvc.lock differs from the commit. If you changed nothing: see README.md, Another machine."
"""What is said where `results_differ`."""


def find() -> Path | None:
    """The folder of the project; None where there is none here or above."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if all((folder / name).is_file() for name in MARKS):
            return folder
    return None


def root() -> Path:
    """The folder of the project.

    Raises:
        UserError: if there is none here or above.
    """
    folder = find()
    if folder is None:
        raise UserError(
            f"{Path.cwd()}: is in no project; expected {' and '.join(MARKS)} in this folder or above. Go to "
            "your clone of the repository."
        )
    return folder


def check_merged(folder: Path) -> None:
    """See that no merge has left both sides in params.yaml, dvc.yaml or dvc.lock.

    Raises:
        UserError: if one has, with the way out.
    """
    for name in (*MARKS, "dvc.lock"):
        path = folder / name
        lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
        if any(line.startswith(CONFLICT) for line in lines):
            raise UserError(
                f"{name}: holds the conflict markers of a merge; expected one side. Settle params.yaml, take "
                "one side of the results (git checkout --ours dvc.lock metrics), and run again: what either "
                "side has run comes from the cache."
            )


def results_differ(folder: Path) -> bool:
    """Whether dvc.lock differs from the commit, and nothing but results does, as on another processor."""
    command = ("git", "status", "--porcelain", "--untracked-files=no")
    listed = subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout  # noqa: S603 - fixed
    changed = {Path(line[3:].strip('"')).parts[0] for line in listed.splitlines()}
    return "dvc.lock" in changed and changed <= {"dvc.lock", "metrics"}
