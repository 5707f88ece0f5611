"""Reproduce one fold of HEAD in a clean clone without cache or remote, and compare what comes out with what is committed.

    python tests/pipeline/one_fold.py            # what CI runs
    python tests/pipeline/one_fold.py --record   # after dvc.lock was renewed: say on which processor

Everything before training must come back with the committed hashes. So must trained artifacts on the processor that made the lock
(.ci/made_on.json), with its torch; kernels differ between processors, so elsewhere UA must lie within TOLERANCE instead.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "stages"))

from ifmmin import averaging  # noqa: E402 - the library lies in stages/
from ifmmin.artifacts import predictions  # noqa: E402
from ifmmin.entry import processor  # noqa: E402

TARGET, SYSTEM, FOLD, SEED = "evaluate@if_mmin-1-0", "if_mmin", 1, 0
EARLY = ("synthesize", "ingest", "split", "configure")
TOLERANCE = 0.1
"""Of average UA: about two standard deviations of one fold's seeds on the demonstration."""


def main() -> str:
    """Run the fold and say what was compared; an error's sentence ends the process with status 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true")
    machine = {"processor": processor(), "torch": metadata.version("torch")}
    record = ROOT / ".ci/made_on.json"
    if parser.parse_args().record:
        record.write_text(json.dumps(machine, indent=2) + "\n", "utf-8")
        return f"recorded {machine}"
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        committed = yaml.safe_load((clone / "dvc.lock").read_text("utf-8"))["stages"]
        done = subprocess.run(["dvc", "repro", TARGET], cwd=clone, check=True, capture_output=True, text=True)
        ran = re.findall(r"Running stage '([^']+)'", done.stdout)
        now = yaml.safe_load((clone / "dvc.lock").read_text("utf-8"))["stages"]
        changed = [name for name in committed if now.get(name) != committed[name]]
        early = [name for name in changed if name.startswith(EARLY)]
        if early or TARGET not in ran:
            sys.exit(f"{early or TARGET}: not reproduced; expected the hashes of the committed dvc.lock. Ran {ran}.")
        if json.loads(record.read_text("utf-8")) == machine:
            if changed:
                sys.exit(f"{changed}: other bytes on the processor that made dvc.lock; expected the same.")
            return f"{len(ran)} stages ran, dvc.lock came back unchanged"
        return f"{len(ran)} stages ran, {len(changed)} with other bytes on this processor; {_scores(clone)}"


def _scores(clone: Path) -> str:
    """Compare average UA with the committed scores of the same run."""
    table, classes, _ = predictions.read(clone / f"data/predictions/{SYSTEM}/{FOLD}-{SEED}.parquet")
    got = averaging.score(table, len(classes)).set_index("condition").loc["average", "ua"]
    scores = pd.read_csv(clone / "metrics/scores.csv").set_index(["system", "fold", "seed", "condition"])
    want = scores.loc[(SYSTEM, FOLD, SEED, "average"), "ua"]
    if abs(got - want) > TOLERANCE:
        sys.exit(f"average UA of {TARGET} is {got:.4f}; expected {want:.4f} within {TOLERANCE}.")
    return f"average UA {got:.4f}, committed {want:.4f}"


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
