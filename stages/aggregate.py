"""Reads params.yaml, the predictions and folds it lists, the features and the paper's Table 1.

Writes Table 1 (data, averages, Markdown, LaTeX), significance tests, confusion matrices, class recalls and
the scores of every run.
"""

from collections.abc import Sequence
from itertools import product

from ifmmin.core import entry
from ifmmin.core.files import write_text
from ifmmin.corpus import features, folds
from ifmmin.evaluation import predictions
from ifmmin.report import printed
from ifmmin.results import marks, notes, paper_comparison, published, significance, table1, tables
from ifmmin.settings import params

INPUTS = ("--params", "--features", "--folds", "--predictions", "--paper")
DATA = ("--scores", "--json", "--csv", "--significance", "--comparison", "--confusion", "--recalls", "--runs")
TEXTS = ("--summary", "--by-system", "--markdown", "--latex")
PARAMS = ("folds", "seeds", "rows", "names", "comparison")


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, *INPUTS, *DATA, *TEXTS)
    settings, corpus = params.read(args.params, *PARAMS), features.read_corpus(args.features)
    rows, compared = settings["rows"], settings["comparison"]
    others = [*compared["baselines"], *compared["ablations"]]
    references = marks.references(rows, **compared)
    runs, run_metadata = predictions.read_all(
        args.predictions, product(rows, settings["folds"], settings["seeds"])
    )
    roles = {fold: folds.read(args.folds / f"{fold}.parquet") for fold in settings["folds"]}
    scores = table1.scores(runs, len(corpus["classes"]))
    table = marks.marked(table1.table(scores, rows), **compared)
    against = {"proposed": compared["proposed"], "others": [*others, *references]}
    tests = significance.compared(scores, roles, **against)
    below = notes.below(table, corpus, run_metadata, tests, compared, settings["names"])
    tables.write_scores(args.scores, scores)
    tables.write_nested(args.json, nested := table1.nested(table))
    tables.write_summary(args.summary, args.by_system, nested)
    with_intervals = significance.with_intervals(table, scores, roles)
    tables.write_table(args.csv, with_intervals.assign(note=notes.SYNTHETIC if corpus["synthetic"] else ""))
    tables.write_runs(args.runs, run_metadata)
    tables.write_significance(args.significance, tests)
    paper = published.read(args.paper)
    tables.write_comparison(args.comparison, paper_comparison.against_paper(table, paper, corpus))
    tables.write_confusions(args.confusion, table1.confusions(runs, corpus["classes"]))
    tables.write_recalls(args.recalls, table1.recalls(runs, corpus["classes"]))
    for_readers = (table, settings["names"], references, below)
    write_text(args.markdown, printed.markdown(*for_readers, plain=corpus["synthetic"]))
    write_text(args.latex, printed.latex(*for_readers, plain=corpus["synthetic"]))


if __name__ == "__main__":
    entry.run(main)
