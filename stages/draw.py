"""Reads the histories and H' that params.yaml names. Writes figures 3a and 3b, and training curves."""

from collections.abc import Sequence
from itertools import product

from ifmmin import entry, figures, params
from ifmmin.artifacts import curves, histories, images, invariants

INPUTS = ("--params", "--histories", "--invariants")
OUTPUTS = ("--fig3a", "--fig3b", "--curves", "--points", "--lines")
PARAMS = ("folds", "seeds", "rows", "figures")


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, *INPUTS, *OUTPUTS)
    settings = params.read(args.params, *PARAMS)
    shown, (fold, seed) = settings["figures"], (settings["folds"][0], settings["seeds"][0])
    keys = product(settings["rows"], settings["folds"], settings["seeds"])
    past = {key: histories.read(args.histories / key[0] / f"{key[1]}-{key[2]}.csv") for key in keys}
    curves.write(args.curves, figures.curves(past))
    lines = figures.lines_3b(past, shown["system"])
    curves.write(args.lines, lines)
    images.write(args.fig3b, figures.figure_3b(lines, shown["system"]))
    H_prime = invariants.read(args.invariants / shown["system"] / f"{fold}-{seed}.parquet")
    points = figures.points_3a(*H_prime, **shown)
    curves.write(args.points, points)
    images.write(args.fig3a, figures.figure_3a(points, f"{shown['system']}, fold {fold}, seed {seed}"))


if __name__ == "__main__":
    entry.run(main)
