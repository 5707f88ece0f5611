"""Speed of training and evaluation, beside the loop that one would write first, in one run.

    python tests/bench/train_speed.py
    python tests/bench/train_speed.py --systems if_mmin mmin --json metrics/bench/cpu.json

Full feature sizes from a generated corpus: acoustic [T,130] with T 8 to 300 (mean 44), visual [50,342],
textual [22,1024]. Plain loop and engine take turns in one process on one thread; seconds are CPU seconds,
each the median of --repeats, for an epoch of IEMOCAP's size (4446 utterances for training, 545 each for
validation and test). A ratio is the plain loop's seconds over the engine's.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "stages"), str(ROOT / "tests")]

import configure  # noqa: E402 - the scripts and the library lie in stages/
from bench import plain  # noqa: E402
from ifmmin import batches, params, systems  # noqa: E402
from ifmmin.entry import processor  # noqa: E402
from ifmmin.terms import CONDITIONS  # noqa: E402
from ifmmin.training import loop, prediction, seeding  # noqa: E402

SIZES = {"a": 130, "v": 342, "t": 1024}
LONGEST = {"v": 50, "t": 22}
N_TRAIN, N_OTHER = 4446, 545
"""Utterances of one of IEMOCAP's folds; seconds are given for so many."""
EPOCHS, BATCH, N_CLASSES = 40, 128, 4


def generated(n, seed=0):
    """Frames of n utterances and their labels: lengths as IEMOCAP's are, features without meaning."""
    draw = np.random.default_rng(seed)
    lengths = {
        "a": np.clip(draw.lognormal(3.6, 0.6, n), 8, 300).astype(int),
        **{m: np.full(n, longest) for m, longest in LONGEST.items()},
    }
    frames = {m: draw.standard_normal((lengths[m].sum(), size), np.float32) / 2 for m, size in SIZES.items()}
    return frames, lengths, draw.integers(0, N_CLASSES, n)


class Bench:
    """One corpus, seen by the engine and by the plain loop."""

    def __init__(self, n_train, n_other, folder):
        """Generate n_train utterances for training and twice n_other for validation and test."""
        n = n_train + 2 * n_other
        frames, lengths, labels = generated(n)
        ids = np.array([f"u{i:05d}" for i in range(n)], dtype=object)
        index = pd.DataFrame({"utterance_id": ids, "label": labels})
        for m, of in lengths.items():
            index[f"{m}_length"], index[f"{m}_offset"] = of, np.cumsum(of) - of
        roles = np.repeat(["train", "validation", "test"], [n_train, n_other, n_other])
        fold = pd.DataFrame({"utterance_id": ids, "role": roles})
        mean, std = frames["a"].mean(0, dtype=np.float64), frames["a"].std(0, dtype=np.float64)
        names = [f"class {i}" for i in range(N_CLASSES)]
        self.corpus = batches.corpus(index, frames, names, fold, (mean, std), torch.device("cpu"))
        arrays = {m: np.split(x, np.cumsum(lengths[m])[:-1]) for m, x in frames.items()}
        self.items = plain.Items(arrays, labels, np.float32(mean), np.float32(std))
        self.h5 = plain.Items(_stored(arrays, folder), labels, np.float32(mean), np.float32(std))
        self.rows = {role: np.flatnonzero(roles == role) for role in ("train", "validation", "test")}


def _stored(arrays, folder):
    """The same arrays in HDF5, as the published pretraining reads them anew in each epoch."""
    stored = {}
    for m, of in arrays.items():
        file = h5py.File(Path(folder) / f"{m}.h5", "w")
        stored[m] = [file.create_dataset(f"u{i:05d}", data=x) for i, x in enumerate(of)]
    return stored


def settings(fit):
    """How the paper trains; only batch, betas and clip matter to speed."""
    return loop.Settings(**{**fit, "batch": BATCH, "lr": 2e-4})


def configs():
    """Name to module, what it is built with and how it is optimised, as params.yaml has it."""
    read = params.read(ROOT / "params.yaml", *configure.PARAMS)
    return {name: (module, config) for name, module, config in configure.resolved(read, "bench")}


def pretraining(name, known):
    """The network of a kind of pretraining."""
    module, config = known[name]
    torch.manual_seed(0)
    network = module.build(sizes=SIZES, n_classes=N_CLASSES, **config["build"])
    return network, settings(config["fit"])


def system(name, known):
    """A row of Table 1, on encoders as they leave their initialisation: speed does not depend on values."""
    module, config = known[name]
    encoders = pretraining(module.PRETRAINING, known)[0].encoders
    start = {"n_classes": N_CLASSES, "encoders": encoders.settings}
    torch.manual_seed(0)
    return systems.build(name, start=start, build=config["build"]), settings(config["fit"])


def cpu(work):
    """CPU seconds of a call."""
    before = time.process_time()
    work()
    return time.process_time() - before


def turns(repeats, *works):
    """Let works take turns; the median CPU seconds of each."""
    taken = [[cpu(work) for work in works] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def epoch_of(network, fit, bench, precision):
    """One training epoch of the engine, and the CPU seconds of what it needs first."""
    optimiser = loop.adam(network, fit)
    order, masks = seeding.generator(0, "order"), seeding.generator(0, "masks")
    before = time.process_time()
    prepared = loop._prepared(network, bench.corpus, precision)
    taken = time.process_time() - before

    def work():
        drawn = loop._epoch(network, bench.corpus, prepared, fit, 1, order, masks)
        loop._train(network, drawn, optimiser, fit.clip, 1, precision)

    return work, taken


def plain_epoch_of(network, fit, bench, items):
    """The same epoch of the plain loop."""
    baseline = plain.Plain(network)
    parameters = [p for part in baseline.networks().values() for p in part.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=fit.lr, betas=(fit.beta1, 0.999))
    draw = np.random.default_rng(0)

    def work():
        rows = draw.permutation(bench.rows["train"])
        masks = batches.draw_masks(len(rows), torch.Generator().manual_seed(0))
        plain.train(baseline, items, rows, masks, optimiser, fit.clip, BATCH)

    return work, baseline


def measured(name, known, bench, *, repeats, precision):
    """Seconds of plain loop and engine for each part, at IEMOCAP's size."""
    network, fit = system(name, known)
    per_train, per_other = N_TRAIN / len(bench.rows["train"]), N_OTHER / len(bench.rows["test"])
    engine, taken = epoch_of(network, fit, bench, precision)
    prepare = taken * per_train
    slow, baseline = plain_epoch_of(network, fit, bench, bench.items)
    both = np.concatenate([bench.rows["validation"], bench.rows["test"]])
    found = turns(
        repeats,
        slow,
        engine,
        lambda: plain.evaluate(baseline, bench.items, both),
        lambda: [
            prediction.predict(network, bench.corpus, role, CONDITIONS, precision)
            for role in ("validation", "test")
        ],
    )
    plain_train, train, plain_test, test = np.array(found) * [per_train, per_train, per_other, per_other]
    return {
        "plain": {"train_epoch": plain_train, "evaluation": plain_test},
        "engine": {"train_epoch": train, "evaluation": test, "prepare": prepare},
        "train_epoch": plain_train / train,
        "evaluation": plain_test / test,
        "training": EPOCHS * (plain_train + plain_test) / (prepare + EPOCHS * (train + test)),
        "plain_step_ms": plain_train / np.ceil(N_TRAIN / BATCH) * 1e3,
        "step_ms": train / np.ceil(N_TRAIN / BATCH) * 1e3,
    }


def measured_pretraining(kind, known, bench, *, repeats, precision):
    """Seconds of a pretraining epoch; the plain loop reads HDF5."""
    network, fit = pretraining(kind, known)
    slow, _ = plain_epoch_of(network, fit, bench, bench.h5)
    engine, _ = epoch_of(network, fit, bench, precision)
    found = turns(repeats, slow, engine)
    plain_train, train = np.array(found) * N_TRAIN / len(bench.rows["train"])
    return {
        "plain": {"train_epoch": plain_train},
        "engine": {"train_epoch": train},
        "ratio": plain_train / train,
    }


def gemm_gflops():
    """Rate of a product of the encoders' shape, float32."""
    x, w = torch.randn(2816, 1024), torch.randn(1024, 512)
    seconds = statistics.median(cpu(lambda: [x @ w for _ in range(5)]) for _ in range(5))
    return 5 * 2 * x.numel() * w.shape[1] / seconds / 1e9


def startup_seconds():
    """CPU seconds until a training stage has its imports."""
    code = "import sys; sys.path.insert(0,'stages'); import train, gc; gc.freeze()"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(result):
    """The result for people."""
    lines = ["| what | plain, s | engine, s | ratio |", "|---|---:|---:|---:|"]
    parts = [
        (f"pretraining {kind}", {**x, "train_epoch": x["ratio"]})
        for kind, x in result["pretrainings"].items()
    ]
    parts += list(result["systems"].items())
    for name, x in parts:
        for what in ("train_epoch", "evaluation"):
            if what in x["plain"]:
                times = f"{x['plain'][what]:.2f} | {x['engine'][what]:.2f}"
                lines.append(f"| {name}, {what} | {times} | {x[what]:.2f} |")
        if "training" in x:
            lines.append(f"| {name}, {EPOCHS} epochs, whole | | | {x['training']:.2f} |")
    facts = (
        "plain_step_ms",
        "step_ms",
        "startup_share",
        "peak_rss_bytes",
        "gemm_gflops",
        "precision",
        "processor",
    )
    return "\n".join([*lines, "", *(f"{key}: {result[key]}" for key in facts)])


def main():
    """Measure, print a table, write JSON if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = configs()
    rows = [name for name, (module, _) in known.items() if getattr(module, "PRETRAINING", None)]
    parser.add_argument(
        "--systems", nargs="+", default=["if_mmin"], choices=rows, help="of those with encoders"
    )
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    parser.add_argument("--utterances", type=int, default=1024, help="of training that are measured")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    options = {"repeats": args.repeats, "precision": args.precision}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.utterances, args.utterances // 4, folder)
        rate = gemm_gflops()
        pre = measured_pretraining("invariant", known, bench, **options)
        rows = {name: measured(name, known, bench, **options) for name in args.systems}
    first = rows[args.systems[0]]
    engine = first["engine"]
    whole = engine["prepare"] + EPOCHS * (engine["train_epoch"] + engine["evaluation"])
    result = {
        "pretraining": pre["ratio"],
        **{key: first[key] for key in ("train_epoch", "evaluation", "training", "plain_step_ms", "step_ms")},
        "startup_share": (startup_seconds() + engine["prepare"]) / whole,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "gemm_gflops": rate,
        "precision": args.precision,
        "processor": processor(),
        "torch": torch.__version__,
        "systems": rows,
        "pretrainings": {"invariant": pre},
    }
    sys.stdout.write(table(result) + "\n")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2, default=float) + "\n", "utf-8")


if __name__ == "__main__":
    main()
