"""Reads the predictions that rows, folds and seeds name, and no others.

Writes the scores of each run, Table 1 and confusion pairs.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from ifmmin import averaging, entry, params
from ifmmin.artifacts import features, predictions, tables
from ifmmin.terms import CONDITIONS

PARAMS = ("folds", "seeds", "rows", "figures.system")


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "features", "predictions", "scores", "json", "csv", "markdown", "confusion"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args(argv)

    settings = params.read(args.params, *PARAMS)
    corpus = features.read_corpus(args.features)
    keys = list(product(settings["rows"], settings["folds"], settings["seeds"]))
    runs = {key: predictions.read(args.predictions / key[0] / f"{key[1]}-{key[2]}.parquet") for key in keys}
    scores = averaging.scores({key: table for key, (table, _, _) in runs.items()}, len(corpus["classes"]))
    table = averaging.table(scores, settings["rows"])
    tables.write_scores(args.scores, scores)
    tables.write_nested(args.json, averaging.nested(table))
    tables.write_table(args.csv, table)
    tables.write_markdown(
        args.markdown, table, averaging.notes(table, corpus, {key: run for key, (_, _, run) in runs.items()})
    )
    shown = pd.concat(
        [table for (system, _, _), (table, _, _) in runs.items() if system == settings["figures.system"]]
    )
    for condition in CONDITIONS:
        pairs = shown[shown["condition"] == condition]
        tables.write_confusion(
            args.confusion / f"{condition}.csv",
            averaging.named(corpus["classes"], pairs["label"]),
            averaging.named(corpus["classes"], pairs["predicted"]),
        )


if __name__ == "__main__":
    entry.run(main)
