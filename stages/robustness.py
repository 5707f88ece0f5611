"""Reads the predictions that params.yaml names, with and without missing frames. Trains nothing.

Writes WA and UA against the share of missing modalities and of missing frames, as a table and a figure.
"""

from collections.abc import Sequence
from itertools import product

from ifmmin import entry, figures, params, robustness
from ifmmin.artifacts import curves, features, gaps, images, predictions

INPUTS = ("--params", "--features", "--predictions", "--gaps")
PARAMS = ("folds", "seeds", "rows")


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, *INPUTS, "--csv", "--figure")
    settings, corpus = params.read(args.params, *PARAMS), features.read_corpus(args.features)
    keys = list(product(settings["rows"], settings["folds"], settings["seeds"]))
    runs, _ = predictions.read_all(args.predictions, keys)
    missing = {
        (s, f, n): gaps.read(args.gaps / s / f"{f}-{n}.parquet", system=s, fold=f, seed=n) for s, f, n in keys
    }
    table = robustness.curves(robustness.scores(runs, missing, len(corpus["classes"])))
    curves.write(args.csv, table)
    images.write(args.figure, figures.robustness(table))


if __name__ == "__main__":
    entry.run(main)
