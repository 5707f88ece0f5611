"""A clone of the last commit for tests that kill processes, with a dvc.lock made on this processor."""

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
    """Clone the project; if another processor made dvc.lock, run `dvc repro` and commit a new one."""
    subprocess.run(["git", "clone", "-q", ROOT, project], check=True)
    record = json.loads((ROOT / ".ci/made_on.json").read_text("utf-8"))
    if record == {**record, "processor": processor(), "torch": metadata.version("torch")}:
        return
    sys.stdout.write("another processor made dvc.lock: running dvc repro to make a new one\n")
    sys.stdout.flush()
    subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=project, check=True, capture_output=True)
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-am", "here"], cwd=project, check=True)
    cleaned(project)


def cleaned(project):
    """Remove artifacts and cache."""
    for name in ("data", "checkpoints", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project / name, ignore_errors=True)
