"""Reproduce one fold of HEAD in a clean clone without cache or remote, and compare it with what is committed.

    python tests/pipeline/one_fold.py            # what CI runs
    python tests/pipeline/one_fold.py --record   # after dvc.lock was renewed: say on which processor

Everything before training must come back with the committed hashes. So must trained artifacts on the
processor that made the lock (.ci/made_on.json), with its torch; kernels differ between processors, so
elsewhere the run's average UA must lie within TOLERANCE of the recorded one instead.
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
"""Of average UA: other last bits lead a training elsewhere, as another seed does."""


def main() -> str:
    """Run the fold and say what was compared; an error's sentence ends the process with status 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true")
    machine = {"processor": processor(), "torch": metadata.version("torch")}
    if parser.parse_args().record:
        made = {**machine, "average_ua": average_ua(ROOT)}
        RECORD.write_text(json.dumps(made, indent=2) + "\n", "utf-8")
        return f"recorded {made}"
    made = json.loads(RECORD.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        committed = yaml.safe_load((clone / "dvc.lock").read_text("utf-8"))["stages"]
        stale = ran(clone, "--dry", "--allow-missing")
        if stale:
            sys.exit(
                f"{stale}: dvc.lock is older than code or params; expected `dvc repro` before the commit."
            )
        names = ran(clone, TARGET)
        now = yaml.safe_load((clone / "dvc.lock").read_text("utf-8"))["stages"]
        changed = [name for name in committed if now.get(name) != committed[name]]
        early = [name for name in changed if name.startswith(EARLY)]
        if early or TARGET not in names:
            sys.exit(
                f"{early or TARGET}: not reproduced; expected the committed dvc.lock's hashes. Ran {names}."
            )
        if made == {**made, **machine}:
            if changed:
                sys.exit(f"{changed}: other bytes on the processor that made dvc.lock; expected the same.")
            return f"{len(names)} stages ran, dvc.lock came back unchanged"
        got = average_ua(clone)
        if abs(got - made["average_ua"]) > TOLERANCE:
            sys.exit(
                f"average UA of {TARGET} is {got:.4f}; expected {made['average_ua']:.4f} within {TOLERANCE}."
            )
        other = f"{len(changed)} of {len(names)} stages with other bytes on this processor"
        return f"{other}; average UA {got:.4f}, where dvc.lock was made {made['average_ua']:.4f}"


def ran(project: Path, *arguments: str) -> list[str]:
    """Run `dvc repro` and list the stages that it says it ran."""
    done = subprocess.run(["dvc", "repro", *arguments], cwd=project, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"dvc repro {' '.join(arguments)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return re.findall(r"Running stage '([^']+)'", done.stdout)


def average_ua(project: Path) -> float:
    """Average UA of the target, from its predictions."""
    table, classes, _ = predictions.read(project / f"data/predictions/{SYSTEM}/{FOLD}-{SEED}.parquet")
    return float(table1.score(table, len(classes)).set_index("condition").loc["average", "ua"])


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
