"""Reads params.yaml, data/features, and the predictions it lists, with and without missing frames.

Writes WA and UA as a function of the rate of missing modalities and frames, as a table and a figure.
"""

from collections.abc import Sequence
from itertools import product

from ifmmin.core import entry
from ifmmin.corpus import features
from ifmmin.evaluation import missing_frames, predictions
from ifmmin.report import figures, images, palette
from ifmmin.results import curves, robustness
from ifmmin.settings import params

INPUTS = ("--params", "--features", "--predictions", "--missing-frames")
PARAMS = ("folds", "seeds", "rows", "names", "comparison")


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, *INPUTS, "--csv", "--figure")
    settings, corpus = params.read(args.params, *PARAMS), features.read_corpus(args.features)
    keys = list(product(settings["rows"], settings["folds"], settings["seeds"]))
    runs, _ = predictions.read_all(args.predictions, keys)
    missing = {
        (s, f, n): missing_frames.read(args.missing_frames / s / f"{f}-{n}.parquet", system=s, fold=f, seed=n)
        for s, f, n in keys
    }
    table = robustness.curves(robustness.scores(runs, missing, len(corpus["classes"])))
    curves.write(args.csv, table)
    looks = palette.looks(settings["rows"], settings["names"], settings["comparison"])
    images.write(args.figure, figures.robustness(table, looks))


if __name__ == "__main__":
    entry.run(main)
