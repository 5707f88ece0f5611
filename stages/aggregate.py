"""Reads the predictions that params.yaml names, no others. Writes scores, Table 1 and confusion pairs."""

from collections.abc import Sequence
from itertools import product

from ifmmin import averaging, entry, params
from ifmmin.artifacts import features, predictions, tables

INPUTS = ("--params", "--features", "--predictions")
PARAMS = ("folds", "seeds", "rows", "figures.system")


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, *INPUTS, "--scores", "--json", "--csv", "--markdown", "--confusion")
    settings = params.read(args.params, *PARAMS)
    corpus = features.read_corpus(args.features)
    keys = product(settings["rows"], settings["folds"], settings["seeds"])
    read = {key: predictions.read(args.predictions / key[0] / f"{key[1]}-{key[2]}.parquet") for key in keys}
    runs, made = (
        {key: table for key, (table, _, _) in read.items()},
        {key: run for key, (_, _, run) in read.items()},
    )
    scores = averaging.scores(runs, len(corpus["classes"]))
    table = averaging.table(scores, settings["rows"])
    tables.write_scores(args.scores, scores)
    tables.write_nested(args.json, averaging.nested(table))
    tables.write_table(args.csv, table)
    tables.write_markdown(args.markdown, table, averaging.notes(table, corpus, made))
    for condition, pairs in averaging.confusions(runs, settings["figures.system"], corpus["classes"]).items():
        tables.write_confusion(args.confusion / f"{condition}.csv", pairs)


if __name__ == "__main__":
    entry.run(main)
