"""A clone of the last commit to break, with a dvc.lock to which its artifacts must come back."""

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ifmmin.core.entry import processor  # noqa: E402 - the library of this repository


def cloned(project):
    """Clone, and on another processor than the one that made dvc.lock let `dvc repro` make it anew."""
    subprocess.run(["git", "clone", "-q", ROOT, project], check=True)
    made = json.loads((ROOT / ".ci/made_on.json").read_text("utf-8"))
    if made == {**made, "processor": processor(), "torch": metadata.version("torch")}:
        return
    sys.stdout.write("dvc.lock was made on another processor: dvc repro makes it anew first\n")
    sys.stdout.flush()
    subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=project, check=True, capture_output=True)
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-am", "here"], cwd=project, check=True)
    cleaned(project)


def cleaned(project):
    """Remove artifacts and cache."""
    for name in ("data", "checkpoints", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project / name, ignore_errors=True)
