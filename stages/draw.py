"""Reads params.yaml, and the histories and H' it lists. Writes figures 3a and 3b, and training curves."""

from collections.abc import Sequence
from itertools import product

from ifmmin.core import entry
from ifmmin.evaluation import invariants
from ifmmin.report import figures, images
from ifmmin.results import curves
from ifmmin.settings import params
from ifmmin.training import histories

INPUTS = ("--params", "--histories", "--invariants")
OUTPUTS = ("--fig3a", "--fig3b", "--curves", "--points", "--lines")
PARAMS = ("folds", "seeds", "rows", "figures")


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, *INPUTS, *OUTPUTS)
    settings = params.read(args.params, *PARAMS)
    options, (fold, seed) = settings["figures"], (settings["folds"][0], settings["seeds"][0])
    keys = product(settings["rows"], settings["folds"], settings["seeds"])
    by_run = {key: histories.read(args.histories / key[0] / f"{key[1]}-{key[2]}.csv") for key in keys}
    curves.write(args.curves, figures.curves(by_run))
    lines = figures.lines_3b(by_run, options["system"])
    curves.write(args.lines, lines)
    images.write(args.fig3b, figures.figure_3b(lines, options["system"]))
    utterances, H_prime = invariants.read(args.invariants / options["system"] / f"{fold}-{seed}.parquet")
    points = figures.points_3a(utterances, H_prime, **options)
    curves.write(args.points, points)
    images.write(args.fig3a, figures.figure_3a(points, f"{options['system']}, fold {fold}, seed {seed}"))


if __name__ == "__main__":
    entry.run(main)
