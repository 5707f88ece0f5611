"""Measures how much slower full training runs are without the CPU kernels for text convolution and LSTM.

    python tests/bench/kernels.py                                # about 10 minutes
    python tests/bench/kernels.py --networks if_mmin mmin --json kernels.json

conv1d and nn.LSTM replace the kernels; everything else is equal. Times are CPU seconds of one thread at
IEMOCAP's sizes, on random features. The four combinations take turns in one process; each time is the median
of --repeats. A training run has the epochs of the preset paper, validates after each, and precomputes the
teacher targets once.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from unittest import mock

import project  # noqa: F401 - sets the import path
import train_speed

from bench import generated
from ifmmin.nn.kernels import convolution, recurrence
from ifmmin.training import devices, seeding

COMBINATIONS = {
    "both kernels": (),
    "no convolution kernel": (convolution,),
    "no LSTM kernel": (recurrence,),
    "no kernel": (convolution, recurrence),
}


def without(kernels, work):
    """Return a function that calls `work` with the plain forms in place of some kernels."""

    def call():
        patches = [mock.patch.object(kernel, "usable", return_value=False) for kernel in kernels]
        for patch in patches:
            patch.start()
        try:
            work()
        finally:
            for patch in patches:
                patch.stop()

    return call


def full_run(name, known, bench, repeats):
    """CPU seconds of a full training run for each combination."""
    build = train_speed.pretraining if name in ("invariant", "fusion") else train_speed.system
    network, fit = build(name, known, bench.start)
    engine = train_speed.Engine(network, fit, bench, "float32")
    device = bench.corpus.y.device
    parts = {
        "train": fit.epochs * bench.per_train,
        "evaluate": fit.epochs / 2,
    }  # evaluate: validation and test
    if engine.targets:
        parts["precompute_targets"] = bench.per_train
    totals = dict.fromkeys(COMBINATIONS, 0.0)
    for part, times in parts.items():
        works = [without(kernels, getattr(engine, part)) for kernels in COMBINATIONS.values()]
        for combination, seconds in zip(
            COMBINATIONS, train_speed.turns(repeats, device, *works), strict=True
        ):
            totals[combination] += times * seconds
    return totals


def main():
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=["if_mmin", "invariant"])
    parser.add_argument("--utterances", type=int, default=512, help="training utterances that are measured")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    device, _ = devices.configure(1)
    seeding.start(0)
    with tempfile.TemporaryDirectory() as folder:
        corpus = generated.write(Path(folder) / "corpus")
        bench = train_speed.Bench(corpus, args.utterances, Path(folder), device)
        known = train_speed.configs()
        seconds = {name: full_run(name, known, bench, args.repeats) for name in args.networks}
    for name, totals in seconds.items():
        for combination, total in totals.items():
            ratio = total / totals["both kernels"]
            sys.stdout.write(f"{name:20} {combination:24} {total:6.0f} s {ratio:6.2f}\n")
    if args.json:
        args.json.write_text(json.dumps(seconds, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
