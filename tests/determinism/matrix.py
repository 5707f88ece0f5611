"""Measure what moves the bits of a training, and by how much; print it as the table of docs/reliability.md.

    python tests/determinism/matrix.py                   # the demonstration of params.yaml, some minutes
    python tests/determinism/matrix.py --small if_mmin   # of a size that the tests can wait for

Each system is pretrained, trained and evaluated on fold 1 by the real scripts, each in a process of its own:
once for reference (1 thread), then with one thing changed, or nothing. With other threads the files of
weights differ in any case, since their header says how many; the numbers in them are what counts. Another
seed is there for comparison.
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
"""Threads that wait asleep: on a busy machine the others would wait for them, awake."""
HEAD = """| system | changed | numbers | weights, largest relative difference of a tensor | \
logits, largest difference | predictions that differ |
|---|---|---|---|---|---|
"""


class Difference(NamedTuple):
    """Two runs of one system.

    Attributes:
        files: whether weights (encoders' too), history, predictions, H' and gaps are equal, byte by byte.
        weights: largest difference of a tensor of the model, relative to its length.
        logits: largest difference of a logit.
        predictions: of the test utterances in all conditions, the share whose class differs.
    """

    files: bool
    weights: float
    logits: float
    predictions: float


def prepare(folder: Path, *, small: bool) -> None:
    """Make corpus, fold and settings, as the pipeline does, in a folder."""
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
    """Run a script in a folder."""
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
    """Pretrain, train and evaluate a system into <folder>/made."""
    kind = load("systems", system).PRETRAINING
    fold = {"features": "features", "fold": f"folds/{FOLD}.parquet", "scaling": f"folds/{FOLD}_scaling.json"}
    for name in filter(None, (kind, system)):
        config = json.loads((folder / "configs" / f"{name}.json").read_text("utf-8"))
        config["fit"]["threads"] = threads
        (folder / f"{name}.json").write_text(json.dumps(config), "utf-8")
    if kind:
        out = {"encoders": "made/encoders", "history": "made/pretraining.csv"}
        stage(folder, "pretrain", kind, config=f"{kind}.json", **fold, seed=seed, **out)
    start = {"encoders": "made/encoders"} if kind else {}
    out = {"model": "made/model", "history": "made/history.csv"}
    stage(folder, "train", system, config=f"{system}.json", **fold, seed=seed, **start, **out)
    out = {name: f"made/{name}" for name in ("predictions", "invariants", "missing-frames")}
    stage(folder, "evaluate", system, params="params.yaml", **fold, model="made/model", seed=seed, **out)


def difference(reference: Path, other: Path) -> Difference:
    """Compare what two runs have made."""
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
    """Run a system for reference, then with each change: change and difference."""
    make(folder, system)
    (folder / "made").rename(folder / "reference")
    for change in changes:
        where = folder / "other" if change == "the folder" else folder
        if where != folder:
            apart = shutil.ignore_patterns("reference", "made", "pack", "other")
            shutil.copytree(folder, where, ignore=apart)
        make(where, system, **CHANGES[change])
        yield change, difference(folder / "reference", where / "made")
        shutil.rmtree(where / "made")
    shutil.rmtree(folder / "reference")
    shutil.rmtree(folder / "other", ignore_errors=True)


def main() -> None:
    """Print the table."""
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
            for change, found in measure(Path(folder), system, args.changes):
                sys.stdout.write(line(system, change, found))
                sys.stdout.flush()


def line(system: str, change: str, found: Difference) -> str:
    """Print a difference as a line of the table."""
    numbers = "other" if found.weights or found.logits else "equal"
    sizes = f"{found.weights:.0e} | {found.logits:.0e} | {found.predictions:.1%}"
    return f"| {system} | {change} | {numbers} | {sizes} |\n"


if __name__ == "__main__":
    main()
