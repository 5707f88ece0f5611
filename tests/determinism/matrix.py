"""Measures what changes the result of a training, and by how much; prints the table of docs/reliability.md.

    python tests/determinism/matrix.py                   # the demonstration of params.yaml, some minutes
    python tests/determinism/matrix.py --small if_mmin   # the size that the tests use

Each system is pretrained, trained and evaluated on fold 1 by the real scripts, each in a new process: once as
the reference (1 thread), then with one change or none. With another number of threads the weights files
always differ, since their header has that number; compare the numbers. Another seed is for comparison.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from ifmmin.core.loading import load  # noqa: E402
from ifmmin.evaluation import predictions  # noqa: E402
from ifmmin.training import weights  # noqa: E402 - the library of this repository
from pipeline.conftest import shrink  # noqa: E402

SYSTEMS = ("if_mmin", "mmin", "mctn", "late_fusion_floor")
FOLD = 1
CHANGES: dict[str, dict[str, int]] = {
    "nothing": {},
    "the folder": {},
    "2 threads": {"threads": 2},
    "4 threads": {"threads": 4},
    "the seed": {"seed": 1},
}
ENVIRONMENT = {
    "IFMMIN_DEVICE": "cpu",
    "IFMMIN_PRECISION": "float32",
    "OMP_WAIT_POLICY": "passive",
    "PYTHONPATH": str(ROOT),
}
"""Passive waiting: on a busy machine, threads that wait actively slow each other down."""
HEAD = """| system | changed | numbers | weights, largest relative difference of a tensor | \
logits, largest difference | predictions that differ |
|---|---|---|---|---|---|
"""


class Difference(NamedTuple):
    """Two runs of one system.

    Attributes:
        files: whether all files (weights, encoders, histories, predictions, ...) are equal byte by byte.
        weights: largest difference of a tensor of the model, relative to its norm.
        logits: largest difference of a logit.
        predictions: fraction of the test predictions, over all conditions, whose class differs.
    """

    files: bool
    weights: float
    logits: float
    predictions: float


def prepare(folder: Path, *, small: bool) -> None:
    """Write corpus, fold and configs into a folder, with the stages of the pipeline."""
    params = folder / "params.yaml"
    shutil.copy(ROOT / "params.yaml", params)
    if small:
        shrink(params)
    content = yaml.safe_load(params.read_text("utf-8"))
    for group in ("pretrain", "train"):
        content[group]["on_collapse"] = "warn"
    params.write_text(yaml.safe_dump({**content, "folds": [FOLD]}, sort_keys=False), "utf-8")
    stage(folder, "synthesize", params="params.yaml", out="pack")
    stage(folder, "ingest", pack="pack", out="features")
    stage(folder, "split", params="params.yaml", features="features", out="folds")
    configured = {"params": "params.yaml", "pipeline": ROOT / "dvc.yaml"}
    stage(folder, "configure", **configured, out="configs", checked="checked.json")


def stage(folder: Path, script: str, *positional: str, **options: object) -> None:
    """Run a stage script in a folder."""
    words = [str(word) for option, value in options.items() for word in (f"--{option}", value)]
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{script}", *positional, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
        check=False,
    )
    if done.returncode:
        sys.exit(f"{script} {' '.join(positional)}: {done.stderr[-2000:]}")


def make(folder: Path, system: str, *, threads: int = 1, seed: int = 0) -> None:
    """Pretrain, train and evaluate a system; the results are in <folder>/results."""
    kind = load("systems", system).PRETRAINING
    fold = {"features": "features", "fold": f"folds/{FOLD}.parquet", "scaling": f"folds/{FOLD}_scaling.json"}
    for name in filter(None, (kind, system)):
        config = json.loads((folder / "configs" / f"{name}.json").read_text("utf-8"))
        config["fit"]["threads"] = threads
        (folder / f"{name}.json").write_text(json.dumps(config), "utf-8")
    if kind:
        out = {"encoders": "results/encoders", "history": "results/pretraining.csv"}
        stage(folder, "pretrain", kind, config=f"{kind}.json", **fold, seed=seed, **out)
    start = {"encoders": "results/encoders"} if kind else {}
    out = {"model": "results/model", "history": "results/history.csv"}
    stage(folder, "train", system, config=f"{system}.json", **fold, seed=seed, **start, **out)
    out = {name: f"results/{name}" for name in ("predictions", "invariants", "missing-frames")}
    stage(folder, "evaluate", system, params="params.yaml", **fold, model="results/model", seed=seed, **out)


def difference(reference: Path, other: Path) -> Difference:
    """Compare the results of two runs."""
    names = sorted(path.name for path in reference.iterdir())
    tensors = [weights.read(folder / "model")[0] for folder in (reference, other)]
    tables = [predictions.read(folder / "predictions")[0] for folder in (reference, other)]
    logits = [table.filter(like="logit_").to_numpy() for table in tables]
    moved = ((tensors[1][name] - x).norm() / x.norm().clamp_min(1e-30) for name, x in tensors[0].items())
    return Difference(
        files=all((reference / name).read_bytes() == (other / name).read_bytes() for name in names),
        weights=max(map(float, moved)),
        logits=float(np.abs(logits[0] - logits[1]).max()),
        predictions=float(np.mean(tables[0]["predicted"] != tables[1]["predicted"])),
    )


def measure(
    folder: Path, system: str, changes: Iterable[str] = tuple(CHANGES)
) -> Iterator[tuple[str, Difference]]:
    """Run a system as the reference, then with each change; yield (change, difference)."""
    make(folder, system)
    (folder / "results").rename(folder / "reference")
    for change in changes:
        run_folder = folder / "other" if change == "the folder" else folder
        if run_folder != folder:
            apart = shutil.ignore_patterns("reference", "results", "pack", "other")
            shutil.copytree(folder, run_folder, ignore=apart)
        make(run_folder, system, **CHANGES[change])
        yield change, difference(folder / "reference", run_folder / "results")
        shutil.rmtree(run_folder / "results")
    shutil.rmtree(folder / "reference")
    shutil.rmtree(folder / "other", ignore_errors=True)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("systems", nargs="*", default=SYSTEMS)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--changes", nargs="+", choices=CHANGES, default=list(CHANGES))
    args = parser.parse_args()
    sys.stdout.write(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), small=args.small)
        for system in args.systems:
            for change, measured in measure(Path(folder), system, args.changes):
                sys.stdout.write(line(system, change, measured))
                sys.stdout.flush()


def line(system: str, change: str, measured: Difference) -> str:
    """A row of the table."""
    numbers = "different" if measured.weights or measured.logits else "equal"
    sizes = f"{measured.weights:.0e} | {measured.logits:.0e} | {measured.predictions:.1%}"
    return f"| {system} | {change} | {numbers} | {sizes} |\n"


if __name__ == "__main__":
    main()
