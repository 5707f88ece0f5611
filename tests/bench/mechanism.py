"""The study of docs/mechanism.md: which L_cmd, which H' and which lambda2 make the paper's mechanism work.

    python tests/bench/mechanism.py line grid           # demonstration epochs
    python tests/bench/mechanism.py paper               # the four best and equation 1 at the paper's epochs
    python tests/bench/mechanism.py scales              # the same, demonstration epochs, rescaled features
    python tests/bench/mechanism.py show                # tables and figure of docs/mechanism.md

Pretrains and trains IF-MMIN in five runs (folds and seeds) for each setting, on the synthetic corpus and on
CMU-MOSI, and appends the validation measures of each run to metrics/bench/mechanism.csv. Runs in this file
are not repeated, so a study that was cut off continues. Test utterances are never read. All of it takes about
two hours on two cores.
"""

import argparse
import itertools
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import project
import torch
from matplotlib.figure import Figure

from bench import collapse
from bench.collapse import show
from ifmmin.core.files import write_csv
from ifmmin.core.terms import CONDITIONS
from ifmmin.report import palette
from ifmmin.settings.params import loader
from ifmmin.training import seeding

RESULTS = project.ROOT / "metrics/bench/mechanism.csv"
PACKS = {"synthetic": None, "mosi": project.ROOT.parent / "shared/packs/mosi"}
TITLES = {"synthetic": "Synthetic corpus", "mosi": "CMU-MOSI"}
COLOURS = dict(zip(("plain", "scale_free"), palette.COMPARED, strict=False))
RUNS = {
    "synthetic": [(fold, 0) for fold in (1, 2, 3, 4, 5)],
    "mosi": [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2)],
}
PARTS = ("line", "grid", "paper", "scales")
KEYS = ["corpus", "part", "scale", "cmd_form", "cmd_weight", "invariant_input", "lambda2", "fold", "seed"]
PAPER = {"epochs_constant": 20, "epochs_decay": 20}

WEIGHTS = {
    "plain": (0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0),
    "scale_free": (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
}
EQUATION_1 = {"cmd_form": "plain", "cmd_weight": 0.003, "invariant_input": "own", "lambda2": 100.0}
ALIVE = {"cmd_form": "scale_free", "cmd_weight": 0.1, "invariant_input": "joint"}
"""Candidates of the preset alive, with lambda2 by the paper's rule (1) and for a higher R2 (10)."""
GRID_WEIGHTS = {"plain": 0.003, "scale_free": 0.1}
"""Chosen on the line, see docs/mechanism.md."""

UA = "training_validation_ua"
MEASURES = {
    UA: "UA",
    "pretraining_validation_probe": "probe",
    "pretraining_validation_L_cmd_scale_free": "L_cmd",
    "r2": "R2",
    "l_inv": "L_inv",
}
"""Measures of the tables of docs/mechanism.md, with their headings."""
SHOWN = {"line": [UA, "pretraining_validation_probe", "pretraining_validation_L_cmd_scale_free"]}
"""Measures of a part's table; in the others, UA and what H' predicts."""


class Job(NamedTuple):
    """One pretraining and the trainings that start from it.

    Attributes:
        corpus, part, scale, fold, seed: see KEYS.
        pretraining: changed settings of pretraining.
        trainings: changed settings of each training.
        fit: changed settings of optimisation.
    """

    corpus: str
    part: str
    scale: float
    fold: int
    seed: int
    pretraining: dict
    trainings: list
    fit: dict


def jobs(parts, corpora):
    """All jobs of some parts of the study."""
    for part, corpus in itertools.product(parts, corpora):
        for fold, seed in RUNS[corpus]:
            for scale, setting, fit in settings(part):
                pretraining = {key: setting[key] for key in ("cmd_form", "cmd_weight")}
                training = [{"invariant_input": setting["invariant_input"], "lambda2": setting["lambda2"]}]
                yield Job(corpus, part, scale, fold, seed, pretraining, training, fit)


def settings(part):
    """Scale of the features, settings and epochs of each point of a part."""
    if part == "line":
        for form, weights in WEIGHTS.items():
            for weight in weights[form != "plain" :]:  # weight 0 is the same for both forms
                yield 1.0, EQUATION_1 | {"cmd_form": form, "cmd_weight": weight}, {}
    elif part == "grid":
        values = (GRID_WEIGHTS.items(), ("own", "mean", "joint"), (1.0, 10.0, 100.0))
        for (form, weight), invariant_input, lambda2 in itertools.product(*values):
            pretraining = {"cmd_form": form, "cmd_weight": weight}
            yield 1.0, {**pretraining, "invariant_input": invariant_input, "lambda2": lambda2}, {}
    else:
        scales, epochs = ((1.0,), PAPER) if part == "paper" else ((0.2, 3.0), {})
        alive = [ALIVE | {"lambda2": lambda2} for lambda2 in (1.0, 10.0)]
        for scale, setting in itertools.product(scales, (EQUATION_1, *best(), *alive)):
            yield scale, setting, epochs


def best(n=4):
    """The n settings of the grid with the best mean validation UA over both corpora and all runs."""
    grid = read()
    grid = grid[grid["part"] == "grid"]
    keys = list(EQUATION_1)
    ua = grid.groupby(keys)["training_validation_ua"].mean().sort_values(ascending=False)
    found = [dict(zip(keys, setting, strict=True)) for setting in ua.index]
    return [setting for setting in found if setting != EQUATION_1][:n]


def merged(todo, done):
    """Join jobs that share a pretraining, without the trainings that are done."""
    together = {}
    for job in todo:
        key = (*job[:5], *sorted(job.pretraining.items()), *sorted(job.fit.items()))
        kept = together.setdefault(key, job._replace(trainings=[]))
        kept.trainings.extend(t for t in job.trainings if tuple(row_key(job, t).values()) not in done)
    return [job for job in together.values() if job.trainings]


def row_key(job, training):
    """The values of KEYS for one training."""
    return {key: {**job._asdict(), **job.pretraining, **training}[key] for key in KEYS}


def read():
    """The finished runs."""
    return pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=KEYS)


@cache
def corpus(work, name, fold, scale):
    """One fold of a corpus; ingested and split once."""
    return collapse.corpus(work / name / "features", work / name / "folds", fold, scale)


def prepare(work, name):
    """Ingest and split a corpus into the working folder."""
    folder = work / name
    if (folder / "folds").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    yaml = loader("rt")
    params = yaml.load((project.ROOT / "params.yaml").read_text("utf-8"))
    params["folds"] = sorted({fold for fold, _ in RUNS[name]})
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    pack, paths = PACKS[name] or folder / "pack", ["--params", folder / "params.yaml"]
    if PACKS[name] is None:
        stage("synthesize", *paths, "--out", pack)
    stage("ingest", "--pack", pack, "--out", folder / "features")
    stage("split", *paths, "--features", folder / "features", "--out", folder / "folds")


def stage(name, *arguments):
    """Run a stage of the pipeline."""
    command = [sys.executable, "-m", f"stages.{name}", *map(str, arguments)]
    subprocess.run(command, cwd=project.ROOT, check=True)


def run(work, job):
    """Run a job: the rows of its trainings."""
    torch.set_num_threads(1)
    data, n_classes = corpus(work, job.corpus, job.fold, job.scale)
    seed = seeding.fold_seed(fold=job.fold, seed=job.seed)
    pretrain, _ = collapse.resolved(job.pretraining, job.fit)
    encoders, first = collapse.pretrained(data, n_classes, pretrain, seed)
    rows = []
    for training in job.trainings:
        _, train = collapse.resolved(training, job.fit)
        _, second = collapse.trained(data, n_classes, encoders, train, seed)
        measured = {**described("pretraining", first), **described("training", second)}
        rows.append({**row_key(job, training), **measured})
    return rows


def described(name, history):
    """The history's columns at the chosen epoch, and its losses at the first epoch."""
    chosen, start = history[history["chosen"] == 1].iloc[0], history.iloc[0]
    losses = [column for column in history if column.startswith("L")]
    return {
        **{f"{name}_{key}": value for key, value in chosen.items() if key != "chosen"},
        **{f"{name}_first_{key}": start[key] for key in losses},
    }


def study(parts, corpora, work, workers):
    """Run what is missing, and write the results after each job."""
    for name in corpora:
        prepare(work, name)
    done = set(read()[KEYS].itertuples(index=False, name=None))
    todo = merged(jobs(parts, corpora), done)
    show(f"{sum(len(job.trainings) for job in todo)} trainings in {len(todo)} jobs")
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for n, future in enumerate(as_completed([pool.submit(run, work, job) for job in todo]), start=1):
            write_csv(RESULTS, pd.concat([read(), pd.DataFrame(future.result())], ignore_index=True))
            show(f"{n} of {len(todo)} jobs")


def summary(table, keys):
    """Means over the runs of each setting, the std of UA over them and their number."""
    r2 = table[[f"training_validation_R2_{c}" for c in CONDITIONS]].mean(axis=1)
    l_inv = table["training_validation_L_inv_missing"] / table["training_validation_L_inv_constant"]
    groups = table.assign(r2=r2, l_inv=l_inv).groupby(keys, sort=False)
    return groups[[*MEASURES]].mean().assign(ua_std=groups[UA].std(), runs=groups.size())


def markdown(part, table, keys):
    """A Markdown table of one part: a row for each setting, with the measures on both corpora."""
    measures = SHOWN.get(part, [UA, "pretraining_validation_probe", "r2", "l_inv"])
    summaries = {name: summary(rows, keys) for name, rows in table.groupby("corpus", sort=False)}
    heads = [
        f"{MEASURES[measure]}, {name} ({rows['runs'].max()})"
        for name, rows in summaries.items()
        for measure in measures
    ]
    show("| " + " | ".join([*keys, *heads]) + " |", "|" + "---|" * len(keys) + "---:|" * len(heads))
    for key in dict.fromkeys(key for rows in summaries.values() for key in rows.index):
        cells = [str(value) for value in key]
        for rows in summaries.values():
            row = rows.loc[key] if key in rows.index else None
            cells += ["" if row is None else cell(row, measure) for measure in measures]
        show("| " + " | ".join(cells) + " |")


def cell(row, measure):
    """One number of a table; UA in per cent, with its std over the runs."""
    return f"{100 * row[UA]:.1f} ± {100 * row['ua_std']:.1f}" if measure == UA else f"{row[measure]:.2f}"


def figure(table, path):
    """Draw the trade between invariance and accuracy: one panel for each corpus, one curve for each form."""
    corpora = list(dict.fromkeys(table["corpus"]))
    drawing = Figure(figsize=(9.6, 3.8), dpi=150, layout="constrained")
    for axes, corpus in zip(drawing.subplots(1, len(corpora), squeeze=False)[0], corpora, strict=True):
        part = table[table["corpus"] == corpus]
        for form, marker in (("plain", "o"), ("scale_free", "s")):
            lines = summary(
                part[(part["cmd_form"] == form) | (part["cmd_weight"] == 0)], ["cmd_weight"]
            ).sort_index()
            error = lines["ua_std"] / lines["runs"] ** 0.5
            x = lines["pretraining_validation_L_cmd_scale_free"]
            y = 100 * lines[UA]
            axes.errorbar(x, y, 100 * error, marker=marker, label=form, color=COLOURS[form], capsize=2)
            for weight, row in lines.iterrows():
                place = (row["pretraining_validation_L_cmd_scale_free"], 100 * row[UA])
                axes.annotate(f"{weight:g}", place, (3, 4), textcoords="offset points", fontsize=7)
        axes.set(title=TITLES[corpus], xlabel="scale-free CMD of H after pretraining (left: more alike)")
        axes.set_ylabel("validation UA of IF-MMIN, per cent" if corpus == corpora[0] else "")
        axes.grid(alpha=0.3)
        if corpus == corpora[0]:
            axes.legend(title="cmd_form; numbers: cmd_weight", frameon=False, fontsize="small")
    drawing.savefig(path)


def show_results():
    """Print the tables of docs/mechanism.md and draw its figure."""
    table = read()
    grid = ["cmd_form", "invariant_input", "lambda2"]
    keys = {"line": ["cmd_form", "cmd_weight"], "grid": grid, "paper": grid, "scales": ["scale", *grid]}
    for part, columns in keys.items():
        rows = table[table["part"] == part]
        if len(rows):
            show("", part, "")
            markdown(part, rows, columns)
    line = table[table["part"] == "line"]
    if len(line):
        figure(line, project.ROOT / "docs/img/mechanism.png")


def main():
    """Run parts of the study, or show its results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=(*PARTS, "show"))
    parser.add_argument("--corpora", nargs="+", choices=PACKS, default=list(PACKS))
    parser.add_argument("--work", type=Path, default=project.ROOT / "data/study")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    parts = [part for part in args.parts if part != "show"]
    if parts:
        study(parts, args.corpora, args.work, args.workers)
    if "show" in args.parts:
        show_results()


if __name__ == "__main__":
    main()
