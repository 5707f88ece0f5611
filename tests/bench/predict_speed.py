"""Measures utterances per second of `ifmmin predict`, reading included, on a random pack of IEMOCAP's sizes.

python tests/bench/predict_speed.py                      # after `dvc repro`; takes a minute
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from project import ROOT

from ifmmin.core.terms import MODALITIES
from ifmmin.pack import raw

SIZES = {"a": 130, "v": 342, "t": 1024}
LENGTHS = {"a": 45, "v": 24, "t": 18}
"""Mean number of frames of an utterance; the std is a third of it."""


def pack(folder, n):
    """Write a pack of n utterances of random numbers."""
    generator = np.random.default_rng(0)

    def utterances(m):
        lengths = generator.normal(LENGTHS[m], LENGTHS[m] / 3, n).clip(1).astype(int)
        return (
            (f"u{i:05d}", generator.standard_normal((length, SIZES[m]), np.float32))
            for i, length in enumerate(lengths)
        )

    raw.write(folder, {m: lambda m=m: utterances(m) for m in MODALITIES}, {"name": "random"})


def a_second(model, folder, threads):
    """Utterances per second, as `ifmmin predict` reports them."""
    command = [sys.executable, "-m", "ifmmin", "predict", "--model", model, "--input", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "IFMMIN_DEVICE": "cpu"}
    done = subprocess.run(command, cwd=ROOT, check=True, env=environment, capture_output=True, text=True)
    return int(re.search(r"utterances?, (\d+) per second", done.stderr)[1])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--utterances", type=int, default=5000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, len(os.sched_getaffinity(0))])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    models = {"one model": "data/models/if_mmin/1-0.safetensors", "two": "data/models/if_mmin"}
    with tempfile.TemporaryDirectory() as folder:
        pack(Path(folder), args.utterances)
        for threads in args.threads:
            for name, model in models.items():
                rates = sorted(a_second(model, folder, threads) for _ in range(args.repeats))
                line = {"threads": threads, "models": name, "utterances a second": rates}
                sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
