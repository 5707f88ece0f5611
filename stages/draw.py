"""Reads params.yaml, the histories and H' it lists, the H' of random weights, and the classes of the corpus.

Writes figures 3a and 3b, and training curves.
"""

from collections.abc import Iterable, Sequence
from itertools import product

import pandas as pd

from ifmmin.core import entry
from ifmmin.corpus import features
from ifmmin.evaluation import invariants
from ifmmin.report import figures, images, palette
from ifmmin.results import curves
from ifmmin.settings import params
from ifmmin.training import histories

INPUTS = ("--params", "--features", "--histories", "--invariants", "--untrained")
OUTPUTS = ("--fig3a", "--fig3b", "--curves", "--trainings", "--points", "--lines")
PARAMS = ("folds", "seeds", "rows", "names", "comparison", "pretrainings", "figures")


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, *INPUTS, *OUTPUTS)
    settings = params.read(args.params, *PARAMS)
    options, (fold, seed) = settings["figures"], (settings["folds"][0], settings["seeds"][0])

    def read(names: Iterable[str]) -> dict[tuple[str, int, int], pd.DataFrame]:
        keys = product(names, settings["folds"], settings["seeds"])
        return {key: histories.read(args.histories / key[0] / f"{key[1]}-{key[2]}.csv") for key in keys}

    by_run = read(settings["rows"])
    curves.write(args.curves, figures.curves(by_run))
    pretrained = read(settings["pretrainings"]).items()
    labelled = {(f"pretraining: {kind}", fold, seed): history for (kind, fold, seed), history in pretrained}
    curves.write(args.trainings, figures.trainings(by_run | labelled))
    look = palette.looks(settings["rows"], settings["names"], settings["comparison"])[options["system"]]
    lines = figures.lines_3b(by_run, options["system"])
    curves.write(args.lines, lines)
    images.write(args.fig3b, figures.figure_3b(lines, look))
    trained = args.invariants / options["system"] / f"{fold}-{seed}.parquet"
    networks = {figures.TRAINED: trained, figures.UNTRAINED: args.untrained}
    embedded = {name: figures.points_3a(*invariants.read(path), **options) for name, path in networks.items()}
    index, classes = features.read_index(args.features), features.read_corpus(args.features)["classes"]
    points = figures.with_classes(embedded, index, classes)
    curves.write(args.points, points)
    images.write(args.fig3a, figures.figure_3a(points, f"{look.name}, fold {fold}, seed {seed}"))


if __name__ == "__main__":
    entry.run(main)
