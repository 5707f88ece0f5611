"""Reads the predictions and folds that params.yaml names, no others, and the paper's Table 1.

Writes Table 1 as data, Markdown and LaTeX, the tests of its differences, and what lies behind it.
"""

from collections.abc import Sequence
from itertools import product

from ifmmin import averaging, comparison, entry, marks, notes, params, significance
from ifmmin.artifacts import features, folds, predictions, printed, published, tables

INPUTS = ("--params", "--features", "--folds", "--predictions", "--paper")
DATA = ("--scores", "--json", "--csv", "--significance", "--comparison", "--confusion", "--recalls", "--runs")
PARAMS = ("folds", "seeds", "rows", "comparison")


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, *INPUTS, *DATA, "--markdown", "--latex")
    settings, corpus = params.read(args.params, *PARAMS), features.read_corpus(args.features)
    rows, compared = settings["rows"], settings["comparison"]
    others = [*compared["baselines"], *compared["ablations"]]
    apart = [row for row in rows if row not in (compared["proposed"], *others)]
    runs, made = predictions.read_all(args.predictions, product(rows, settings["folds"], settings["seeds"]))
    roles = {fold: folds.read(args.folds / f"{fold}.parquet") for fold in settings["folds"]}
    scores = averaging.scores(runs, len(corpus["classes"]))
    table = marks.marked(averaging.table(scores, rows), **compared)
    tests = significance.compared(scores, roles, proposed=compared["proposed"], others=others)
    below = notes.below(table, corpus, made, tests, compared)
    tables.write_scores(args.scores, scores)
    tables.write_nested(args.json, averaging.nested(table))
    tables.write_table(args.csv, significance.with_intervals(table, scores, roles))
    tables.write_runs(args.runs, made)
    tables.write_significance(args.significance, tests)
    paper = published.read(args.paper)
    tables.write_comparison(args.comparison, comparison.against_paper(table, paper, corpus))
    tables.write_confusions(args.confusion, averaging.confusions(runs, corpus["classes"]))
    tables.write_recalls(args.recalls, averaging.recalls(runs, corpus["classes"]))
    printed.write_markdown(args.markdown, table, apart, below)
    printed.write_latex(args.latex, table, apart, below)


if __name__ == "__main__":
    entry.run(main)
