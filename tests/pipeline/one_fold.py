"""Reproduce one fold of HEAD in a clean clone without cache or remote, and compare it with the commit.

    python tests/pipeline/one_fold.py            # what CI runs
    python tests/pipeline/one_fold.py --record   # after a new dvc.lock: record this processor

Everything before training must have the committed hashes. Trained artifacts must too if processor and torch
are those of .ci/made_on.json. Kernels differ between processors: elsewhere the average UA must be within
TOLERANCE of the recorded value.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ifmmin.core.entry import processor  # noqa: E402
from ifmmin.evaluation import predictions  # noqa: E402
from ifmmin.results import table1  # noqa: E402 - the library of this repository

RECORD = ROOT / ".ci/made_on.json"
TARGET, SYSTEM, FOLD, SEED = "evaluate@if_mmin-1-0", "if_mmin", 1, 0
EARLY = ("synthesize", "ingest", "split", "configure")
TOLERANCE = 0.1
"""Of average UA. Different rounding changes a training about as much as another seed does."""


def main() -> str:
    """Run the fold and return a summary; a difference ends the process with a message and status 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true")
    machine = {"processor": processor(), "torch": metadata.version("torch")}
    if parser.parse_args().record:
        record = {**machine, "average_ua": average_ua(ROOT)}
        RECORD.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
        return f"recorded {record}"
    record = json.loads(RECORD.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        committed = yaml.safe_load((clone / "dvc.lock").read_text("utf-8"))["stages"]
        stale = ran(clone, "--dry", "--allow-missing")
        if stale:
            sys.exit(f"{stale}: code or params are newer than dvc.lock. Run `dvc repro` and commit.")
        names = ran(clone, TARGET)
        new_lock = yaml.safe_load((clone / "dvc.lock").read_text("utf-8"))["stages"]
        changed = [name for name in committed if new_lock.get(name) != committed[name]]
        early = [name for name in changed if name.startswith(EARLY)]
        if early or TARGET not in names:
            sys.exit(
                f"{early or TARGET}: other hashes than in the committed dvc.lock, or not run. Ran {names}."
            )
        if record == {**record, **machine}:
            if changed:
                sys.exit(f"{changed}: different bytes on the processor that made dvc.lock.")
            return f"{len(names)} stages ran; dvc.lock is unchanged"
        ua = average_ua(clone)
        if abs(ua - record["average_ua"]) > TOLERANCE:
            sys.exit(
                f"average UA of {TARGET} is {ua:.4f}; expected {record['average_ua']:.4f} within {TOLERANCE}."
            )
        summary = f"{len(changed)} of {len(names)} stages wrote different bytes on this processor"
        return f"{summary}; average UA {ua:.4f}, recorded {record['average_ua']:.4f}"


def ran(project: Path, *arguments: str) -> list[str]:
    """Run `dvc repro` and return the stages that it reports as run."""
    done = subprocess.run(["dvc", "repro", *arguments], cwd=project, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"dvc repro {' '.join(arguments)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return re.findall(r"Running stage '([^']+)'", done.stdout)


def average_ua(project: Path) -> float:
    """Average UA of TARGET, computed from its predictions."""
    table, classes, _ = predictions.read(project / f"data/predictions/{SYSTEM}/{FOLD}-{SEED}.parquet")
    return float(table1.score(table, len(classes)).set_index("condition").loc["average", "ua"])


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
