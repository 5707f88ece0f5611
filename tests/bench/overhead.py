"""Measures the overhead of `dvc repro` and `ifmmin run` with trivial stages.

python tests/bench/overhead.py                     # 44 and 432 stages; 432 take minutes
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import trivial

SIZES = {44: (2, 1), 432: (10, 3)}


def seconds(command, cwd):
    """The run time of a command."""
    start = time.perf_counter()
    environment = {**os.environ, "DVC_NO_ANALYTICS": "true"}
    subprocess.run(
        command, cwd=cwd, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def measure(n, jobs):
    """Seconds of `dvc repro` and of `ifmmin run`, on new projects and with nothing to do."""
    folds, seeds = SIZES[n]
    with tempfile.TemporaryDirectory() as folder:
        serial, parallel = (trivial.make(Path(folder, name), folds, seeds) for name in ("serial", "parallel"))
        run = [sys.executable, "-m", "ifmmin", "run", "-j", str(jobs)]
        took = {
            "parallel": seconds(run, parallel),
            "parallel, nothing to do": seconds(run, parallel),
            "serial": seconds([sys.executable, "-m", "dvc", "repro", "-q"], serial),
            "serial, nothing to do": seconds([sys.executable, "-m", "dvc", "repro", "-q"], serial),
        }
        same = (serial / "dvc.lock").read_bytes() == (parallel / "dvc.lock").read_bytes()
    return {
        "stages": n,
        "jobs": jobs,
        "same dvc.lock": same,
        "seconds": {name: round(took, 2) for name, took in took.items()},
        "seconds a stage": {name: round(took / n, 3) for name, took in took.items()},
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stages", type=int, nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("-j", "--jobs", type=int, default=2)
    args = parser.parse_args()
    for n in args.stages:
        sys.stdout.write(json.dumps(measure(n, args.jobs), indent=2) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
