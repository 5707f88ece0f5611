"""Reads the histories and H' that rows, folds and seeds name.

Writes figures 3a and 3b and the training curves.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from ifmmin import entry, figures, params
from ifmmin.artifacts import curves, histories, images, invariants

PARAMS = ("folds", "seeds", "rows", "figures")


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "histories", "invariants", "fig3a", "fig3b", "curves"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args(argv)

    settings = params.read(args.params, *PARAMS)
    shown, first = settings["figures"], (settings["folds"][0], settings["seeds"][0])
    past = pd.concat(
        [
            histories.read(args.histories / system / f"{fold}-{seed}.csv").assign(
                system=system, fold=fold, seed=seed
            )
            for system, fold, seed in product(settings["rows"], settings["folds"], settings["seeds"])
        ]
    )
    curves.write(args.curves, figures.curves(past))
    runs = past[past["system"] == shown["system"]]
    images.write(
        args.fig3b,
        figures.figure_3b(
            runs, title=f"L_inv of {shown['system']}, {runs.groupby(['fold', 'seed']).ngroups} runs"
        ),
    )

    keys, H_prime = invariants.read(args.invariants / shown["system"] / f"{first[0]}-{first[1]}.parquet")
    rows = figures.sample(keys, shown["utterances"], np.random.default_rng(shown["seed"]))
    title = (
        f"H' of {shown['system']}, fold {first[0]}, seed {first[1]}: "
        f"{len(rows) // 6} test utterances a condition"
    )
    figure = figures.figure_3a(
        keys.iloc[rows], H_prime[rows], seed=shown["seed"], perplexity=shown["perplexity"], title=title
    )
    images.write(args.fig3a, figure)


if __name__ == "__main__":
    entry.run(main)
