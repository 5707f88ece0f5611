"""Which commit the results come from."""

import subprocess
from pathlib import Path

CODE = ("ifmmin", "stages", "presets", "params.yaml", "dvc.yaml", "requirements.txt")
"""What results depend on, apart from data."""


def commit(root: Path) -> str:
    """Name the commit of the repository, and say whether the code or the parameters differ from it."""
    try:
        revision = _git(root, "rev-parse", "--short=10", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        return "unknown: no git repository"
    return f"{revision}, with uncommitted changes to code or parameters" if changed else revision


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
