"""Measures the speed of training and evaluation, compared with a plain loop.

    python tests/bench/train_speed.py                                     # IF-MMIN, about 8 minutes
    python tests/bench/train_speed.py --systems all --growth 1 2 4 --workers 1 2 --json speed.json
    python tests/bench/train_speed.py --pack PACK --device cuda --precision tf32

Without --pack, the corpus is random with IEMOCAP's feature sizes (acoustic [T,130] with T from 8 to 300, mean
44; visual [50,342]; textual [22,1024]) and numbers of utterances (4446 for training, 545 each for validation
and test). Plain loop and engine (our training loop) take turns in one process on one thread. Seconds are CPU
seconds of an epoch (on a GPU: between two device events), the median of --repeats. A ratio is the plain
loop's seconds over the engine's. A whole training validates and tests in each epoch, as the published code
does; the pipeline only validates. The FLOP floor is that of float32 products. Memory and growth (CPU
seconds) are measured on the stage train.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import project
import torch

from bench import floor, generated, plain
from bench.stages import Stages, children_cpu_seconds, exponent, growth
from ifmmin import systems
from ifmmin.core.entry import processor
from ifmmin.core.errors import UserError
from ifmmin.core.terms import CONDITIONS
from ifmmin.corpus import features, folds, scalings
from ifmmin.settings import params, presets
from ifmmin.training import batches, devices, loop, prediction, seeding
from stages import configure

ROWS = ("mctn", "mmin", "mmin_no_cycle", "if_mmin", "if_mmin_no_inv", "if_mmin_no_cascade")


class Bench:
    """One fold in the forms that engine and plain loop read."""

    def __init__(self, place, utterances, folder, device):
        """Open a fold; training is measured on `utterances` of it, validation and test on all."""
        read, fold = features.read(place.features), folds.read(place.fold)
        mean, std = scalings.read(place.scaling)
        corpus = batches.corpus(*read, fold, (mean, std), device)
        self.of_all = {role: len(rows) for role, rows in corpus.rows.items()}
        drawn = torch.randperm(self.of_all["train"], generator=torch.Generator().manual_seed(0))
        rows = {**corpus.rows, "train": corpus.rows["train"][drawn[:utterances]]}
        self.corpus = corpus._replace(rows=rows)
        self.per_train = self.of_all["train"] / len(rows["train"])
        arrays = {m: np.split(x, read.table[f"{m}_offset"].to_numpy()[1:]) for m, x in read.frames.items()}
        labels = read.table["label"].to_numpy()
        self.items = plain.Items(arrays, labels, np.float32(mean), np.float32(std), device)
        stored = _stored(arrays, rows["train"].tolist(), folder)
        self.h5 = plain.Items(stored, labels, np.float32(mean), np.float32(std), device)
        self.rows = {role: numbers.numpy() for role, numbers in rows.items()}
        self.start = {"sizes": corpus.sizes(), "n_classes": len(corpus.classes)}


def _stored(arrays, rows, folder):
    """The training utterances in HDF5: the published pretraining reads them again in each epoch."""
    stored = {}
    for m, utterances in arrays.items():
        file = h5py.File(Path(folder) / f"{m}.h5", "w")
        stored[m] = {i: file.create_dataset(f"u{i:06d}", data=utterances[i]) for i in rows}
    return stored


def configs():
    """Name to module and config under the preset paper."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text((project.ROOT / "params.yaml").read_text("utf-8"), "utf-8")
        presets.apply(path, project.ROOT / "presets" / "paper.yaml")
        settings = params.read(path, *configure.PARAMS)
    return {name: (module, config) for name, module, config in configure.resolved(settings, "preset paper")}


def pretraining(kind, known, start):
    """The network of a kind of pretraining."""
    module, config = known[kind]
    torch.manual_seed(0)
    return module.build(**start, **config["build"]), loop.Settings(**config["fit"])


def system(name, known, start):
    """A system of Table 1 with untrained encoders: speed does not depend on their values."""
    module, config = known[name]
    if module.PRETRAINING:
        encoders = pretraining(module.PRETRAINING, known, start)[0].encoders
        start = {"n_classes": start["n_classes"], "encoders": encoders.settings}
    torch.manual_seed(0)
    return systems.build(name, start=start, build=config["build"]), loop.Settings(**config["fit"])


def seconds(work, device):
    """CPU seconds of a call; on a GPU, seconds between two events."""
    if device.type == "cuda":
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        work()
        last.record()
        torch.cuda.synchronize()
        return first.elapsed_time(last) / 1e3
    before = time.process_time()
    work()
    return time.process_time() - before


def turns(repeats, device, *works):
    """Run functions in turns and return the median seconds of each. A GPU warms up first."""
    if device.type == "cuda":
        for work in works:
            work()
    taken = [[seconds(work, device) for work in works] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


class Engine:
    """An epoch with the engine."""

    def __init__(self, network, fit, bench, precision):
        """Prepare the training as `loop.fit` does before the first step."""
        self.network, self.fit = network.to(bench.corpus.y.device), fit
        self.bench, self.precision = bench, precision
        self.optimiser = loop.adam(network, fit)
        self.order, self.masks = seeding.generator(0, "order"), seeding.generator(0, "masks")
        self.targets = {}
        self.prepare_seconds = seconds(self.precompute_targets, bench.corpus.y.device) * bench.per_train

    def precompute_targets(self):
        """Precompute the targets of the training utterances."""
        self.targets = loop._precompute(self.network, self.bench.corpus, self.precision)

    def train(self):
        """One epoch."""
        drawn = loop._batches(
            self.network, self.bench.corpus, self.targets, self.fit, 1, self.order, self.masks
        )
        loop._train_epoch(self.network, drawn, self.optimiser, self.fit.clip, 1, self.precision)

    def evaluate(self):
        """Validation and test."""
        for role in ("validation", "test"):
            prediction.predict(self.network, self.bench.corpus, role, CONDITIONS, self.precision)


class Loop:
    """An epoch with the plain loop, one network after the other."""

    def __init__(self, network, fit, bench, items):
        """Make an optimiser for each network."""
        self.fit, self.bench, self.items = fit, bench, items
        self.forms = []
        for form in plain.forms(network):
            parameters = [p for part in form.networks().values() for p in part.parameters()]
            self.forms.append((form, torch.optim.Adam(parameters, lr=fit.lr, betas=(fit.beta1, 0.999))))

    def train(self):
        """One epoch."""
        rows = np.random.default_rng(0).permutation(self.bench.rows["train"])
        masks = batches.draw_masks(len(rows), torch.Generator().manual_seed(0))
        for form, optimiser in self.forms:
            plain.train(form, self.items, rows, masks, optimiser, self.fit.clip, self.fit.batch)

    def evaluate(self):
        """Validation and test."""
        rows = np.concatenate([self.bench.rows["validation"], self.bench.rows["test"]])
        for form, _ in self.forms:
            plain.evaluate(form, self.items, rows, self.fit.batch)


def measured(name, known, bench, rate, *, repeats, precision):
    """Seconds of plain loop and engine, extrapolated to all utterances of the fold."""
    network, fit = system(name, known, bench.start)
    device = bench.corpus.y.device
    baseline = Loop(network.to(device), fit, bench, bench.items)
    engine = Engine(network, fit, bench, precision)
    medians = turns(repeats, device, baseline.train, engine.train, baseline.evaluate, engine.evaluate)
    plain_train, train, plain_test, test = np.array(medians) * [bench.per_train, bench.per_train, 1, 1]
    flops = [floor.flop(step) for step in (engine.precompute_targets, engine.train, engine.evaluate)]
    floor_seconds = np.array(flops) * [bench.per_train, bench.per_train, 1] / rate / 1e9
    engine_seconds = engine.prepare_seconds + fit.epochs * (train + test)
    steps = np.ceil(bench.of_all["train"] / fit.batch)
    return {
        "plain": {"train_epoch": plain_train, "evaluation": plain_test},
        "engine": {
            "train_epoch": train,
            "evaluation": test,
            "prepare": engine.prepare_seconds,
            "whole": engine_seconds,
        },
        "floor": dict(zip(("prepare", "train_epoch", "evaluation"), floor_seconds, strict=True)),
        "epochs": fit.epochs,
        "train_epoch": plain_train / train,
        "evaluation": plain_test / test,
        "training": fit.epochs * (plain_train + plain_test) / engine_seconds,
        "plain_step_ms": plain_train / steps * 1e3,
        "step_ms": train / steps * 1e3,
    }


def measured_pretraining(kind, known, bench, rate, *, repeats, precision):
    """Seconds of a pretraining epoch; here the plain loop reads HDF5."""
    network, fit = pretraining(kind, known, bench.start)
    device = bench.corpus.y.device
    baseline, engine = Loop(network.to(device), fit, bench, bench.h5), Engine(network, fit, bench, precision)
    plain_train, train = np.array(turns(repeats, device, baseline.train, engine.train)) * bench.per_train
    floor_seconds = floor.flop(engine.train) * bench.per_train / rate / 1e9
    return {
        "plain": {"train_epoch": plain_train},
        "engine": {"train_epoch": train},
        "floor": {"train_epoch": floor_seconds},
        "epochs": fit.epochs,
        "train_epoch": plain_train / train,
    }


def gemm_gflops(device):
    """GFLOP/s of a float32 matrix product of the encoders' shape."""
    x, w = torch.randn(2816, 1024, device=device), torch.randn(1024, 512, device=device)
    times = [seconds(lambda: [x @ w for _ in range(5)], device) for _ in range(5)]
    return 5 * 2 * x.numel() * w.shape[1] / statistics.median(times) / 1e9


def startup_seconds():
    """CPU seconds of the imports of the stage train."""
    code = "import gc, stages.train; gc.freeze()"
    before = children_cpu_seconds()
    subprocess.run([sys.executable, "-c", code], cwd=project.ROOT, check=True)
    return children_cpu_seconds() - before


def busy_share(engine):
    """Share of a training epoch in which the GPU computes; the rest is waiting for launches."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        before = time.perf_counter()
        engine.train()
        torch.cuda.synchronize()
        wall = time.perf_counter() - before
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6 / wall


def deterministic_cost(engine, repeats):
    """Seconds of an epoch with deterministic algorithms (as in the stages) over seconds without."""

    def epoch(deterministic):
        torch.use_deterministic_algorithms(deterministic)
        engine.train()

    device = engine.bench.corpus.y.device
    on, off = turns(repeats, device, lambda: epoch(True), lambda: epoch(False))
    torch.use_deterministic_algorithms(True)
    return on / off


def table(result):
    """The speeds as a Markdown table."""
    lines = [
        "| what | plain, s | engine, s | ratio | engine / FLOP floor |",
        "|---|---:|---:|---:|---:|",
    ]
    parts = [(f"pretraining {kind}", x) for kind, x in result["pretrainings"].items()]
    for name, x in [*parts, *result["systems"].items()]:
        for what, plain_seconds in x["plain"].items():
            engine, over_floor = x["engine"][what], x["engine"][what] / x["floor"][what]
            lines.append(
                f"| {name}, {what} | {plain_seconds:.2f} | {engine:.2f} | {x[what]:.2f} | {over_floor:.2f} |"
            )
        if "training" in x:
            engine, least = x["engine"]["whole"], x["floor"]
            least = least["prepare"] + x["epochs"] * (least["train_epoch"] + least["evaluation"])
            lines.append(
                f"| {name}, {x['epochs']} epochs, whole | {x['training'] * engine:.0f} | {engine:.0f} "
                f"| {x['training']:.2f} | {engine / least:.2f} |"
            )
    return "\n".join(lines)


def grown(result):
    """Growth and memory as a Markdown table."""
    if "growth" not in result:
        return ""
    lines = ["", "| corpus | s an epoch | peak RSS, GB | without files, GB |", "|---|---:|---:|---:|"]
    for what, rows in result["growth"].items():
        lines += [
            f"| {row['factor']:g} x {what} | {row['seconds']:.2f} | {row['peak_rss_bytes'] / 1e9:.2f} "
            f"| {row['own_bytes'] / 1e9:.2f} |"
            for row in rows
        ]
    return "\n".join(lines)


FACTS = (
    "plain_step_ms",
    "step_ms",
    "startup_share",
    "deterministic_cost",
    "peak_rss_bytes",
    "growth_exponents",
    "trainings_an_hour",
    "table_core_hours",
    "device_busy",
    "gemm_gflops",
    "precision",
    "device",
    "processor",
    "torch",
)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", type=Path, help="a pack in the MMIN layout; default: a generated corpus")
    parser.add_argument("--systems", nargs="+", default=["if_mmin"], choices=["all", *ROWS])
    parser.add_argument("--precision", choices=devices.PRECISIONS, default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--utterances", type=int, default=1024, help="training utterances to measure")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--growth",
        nargs="+",
        type=float,
        default=[0.25, 0.5, 1],
        help="corpus sizes for the measurement of growth; 1 is IEMOCAP's size",
    )
    parser.add_argument("--workers", nargs="+", type=int, default=[], help="simultaneous trainings, e.g. 1 2")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    args.systems = list(ROWS) if "all" in args.systems else args.systems
    return args


def beside(args, known, folder, place):
    """Measurements on real stages: memory, growth with a generated corpus, and several at once."""
    stages = Stages(folder / "stages", place, known)
    stages.pretrained("invariant")
    result = {"peak_rss_bytes": stages.cpu("train", "if_mmin", 1)[1]}
    if not args.pack:
        longer = [factor for factor in args.growth if factor >= 1 and factor == int(factor)]
        result["growth"] = {
            "utterances": growth(folder, known, "if_mmin", args.growth, frames=False),
            "frames": growth(folder, known, "if_mmin", longer, frames=True),
        }
        result["growth_exponents"] = {
            what: exponent(rows) for what, rows in result["growth"].items() if len(rows) > 1
        }
    # 4 epochs minus 1 is 3 epochs without start-up and teacher targets; a training has 40.
    wall = {n: stages.at_once("if_mmin", n, 4) - stages.at_once("if_mmin", n, 1) for n in args.workers}
    result["trainings_an_hour"] = {n: n * 3600 / (seconds / 3 * 40) for n, seconds in wall.items()} or None
    return result


def compared(args, known, bench):
    """Measurements of plain loop and engine in turns."""
    rate = gemm_gflops(bench.corpus.y.device)
    options = {"repeats": args.repeats, "precision": args.precision}
    kinds = {"invariant"} | {known[name][0].PRETRAINING for name in args.systems} - {None}
    pre = {kind: measured_pretraining(kind, known, bench, rate, **options) for kind in sorted(kinds)}
    rows = {name: measured(name, known, bench, rate, **options) for name in args.systems}
    shown = "if_mmin" if "if_mmin" in rows else args.systems[0]  # its figures are the top-level keys
    engine, first = Engine(*system(shown, known, bench.start), bench, args.precision), rows[shown]
    return {
        "pretraining": pre["invariant"]["train_epoch"],
        **{key: first[key] for key in ("train_epoch", "evaluation", "training", "plain_step_ms", "step_ms")},
        "startup_share": (startup_seconds() + first["engine"]["prepare"]) / first["engine"]["whole"],
        "deterministic_cost": deterministic_cost(engine, args.repeats),
        "device_busy": busy_share(engine) if bench.corpus.y.device.type == "cuda" else None,
        "gemm_gflops": rate,
        "table_core_hours": _table_seconds(rows, pre) / 3600 if set(rows) == set(ROWS) else None,
        "systems": rows,
        "pretrainings": pre,
    }


def _table_seconds(rows, pre):
    """Seconds of the paper's table: ten folds, three seeds, one training at a time, without start-up."""
    trainings = sum(x["engine"]["whole"] for x in rows.values())
    return 30 * (trainings + sum(x["epochs"] * x["engine"]["train_epoch"] for x in pre.values()))


def main():
    """Measure, print tables and, with --json, write the result."""
    args, known = arguments(), configs()
    os.environ |= {"IFMMIN_DEVICE": args.device, "IFMMIN_PRECISION": args.precision}
    device, _ = devices.configure(1)
    seeding.start(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = (
            generated.ingested(folder, args.pack, project.ROOT / "params.yaml")
            if args.pack
            else generated.write(folder / "corpus")
        )
        result = {
            **compared(args, known, Bench(place, args.utterances, folder, device)),
            **beside(args, known, folder, place),
            "precision": args.precision,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "processor": processor(),
            "torch": torch.__version__,
        }
    sys.stdout.write(table(result) + "\n" + grown(result) + "\n\n")
    sys.stdout.write(
        "\n".join(f"{key}: {result[key]}" for key in FACTS if result.get(key) is not None) + "\n"
    )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2, default=float) + "\n", "utf-8")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
