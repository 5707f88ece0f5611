"""Table 1 and what lies behind it, as data. Table 1 for people is in artifacts/printed.py.

    metrics/scores.csv        system, fold, seed, condition, wa, ua: every run
                              (condition "average": mean of the six)
    metrics/table1.json       system -> condition -> {ua, wa}; systems in row order, average first, avt last;
                              unrounded; a condition that a system does not predict has no entry
    metrics/table1.csv        system, condition, wa, ua, wa_std, ua_std, n_folds, n_seeds, wa_marks, ua_marks:
                              a line for each system and condition in the same order; numbers empty and counts
                              0 where a system does not predict a condition; deviations empty for one run;
                              marks as printed ("↑⇑", "*+"), empty for none
    metrics/confusion.csv     system, condition, actual, predicted, count, share: a line for each pair of
                              classes, by name, of each condition that a system predicts; over all folds and
                              seeds; share of the utterances of the actual class, empty where it has none
    metrics/recalls.csv       system, condition, class, recall: averaged as Table 1 is, so that its mean over
                              the classes is the UA of Table 1
    metrics/significance.csv  the tests of one system against another, as the stage computes them
    metrics/comparison.csv    Table 1 beside the paper's, as the stage computes it

wa, ua, recall and share in [0, 1]. Written by aggregate.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ifmmin.files import write_csv, write_json

TABLE = [
    "system",
    "condition",
    "wa",
    "ua",
    "wa_std",
    "ua_std",
    "n_folds",
    "n_seeds",
    "wa_marks",
    "ua_marks",
]


def write_scores(path: Path, scores: pd.DataFrame) -> None:
    """Write the scores of every run."""
    write_csv(path, scores[["system", "fold", "seed", "condition", "wa", "ua"]])


def write_nested(path: Path, nested: Mapping[str, Any]) -> None:
    """Write table1.json; the order of its keys is that of Table 1."""
    write_json(path, nested, sort_keys=False)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write table1.csv."""
    write_csv(path, table[TABLE])


def write_confusions(path: Path, confusions: pd.DataFrame) -> None:
    """Write what each system takes each class for."""
    write_csv(path, confusions[["system", "condition", "actual", "predicted", "count", "share"]])


def write_recalls(path: Path, recalls: pd.DataFrame) -> None:
    """Write the recall of each class."""
    write_csv(path, recalls[["system", "condition", "class", "recall"]])


def write_significance(path: Path, tests: pd.DataFrame) -> None:
    """Write the tests of one system against another."""
    write_csv(path, tests)


def write_comparison(path: Path, comparison: pd.DataFrame) -> None:
    """Write Table 1 beside the paper's."""
    write_csv(path, comparison)
