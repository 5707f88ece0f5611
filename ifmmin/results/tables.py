"""Table 1 and related tables, as files. report/printed.py formats Table 1 for readers.

    metrics/scores.csv        system, fold, seed, condition, wa, ua: each run
                              (condition "average": mean of the six)
    metrics/table1.json       system -> condition -> {ua, wa}; systems in table order, average first, avt
                              last; unrounded; no entry for a condition that a system does not predict
    metrics/summary.json      system -> {ua, wa} of the average, unrounded, in table order
    metrics/summary/<system>.json   {ua, wa} of the average, unrounded; the metrics of `dvc metrics` and
                              `dvc exp show`. One file per system, as DVC prints one row per file and one
                              column per key
    metrics/table1.csv        system, condition, wa, ua, wa_std, ua_std, n_folds, n_seeds, wa_marks, ua_marks,
                              wa_low, wa_high, ua_low, ua_high, note: one row for each system and condition
                              in the same order; scores empty and counts 0 if a system does not predict a
                              condition; stds empty for one run; marks as printed ("↑⇑", "*+"), empty if
                              there is none; bounds of the 95 % interval, empty for fewer than three folds;
                              note: on a synthetic corpus, that marks mean nothing
    metrics/confusion.csv     system, condition, actual, predicted, count, share: one row for each pair of
                              classes, by name, in each condition that a system predicts; over all folds and
                              seeds; share of the utterances of the actual class, empty if it has none
    metrics/recalls.csv       system, condition, class, recall: averaged as in Table 1, so that the mean over
                              the classes is the UA of Table 1
    metrics/significance.csv  the tests of significance.compared
    metrics/comparison.csv    the table of paper_comparison.against_paper
    metrics/runs.json         runs: system, fold and seed of each, with the metadata of its predictions:
                              pretrained (null without pretraining), trained and evaluated, each with device
                              and precision; collapsed, the collapsed encoders

wa, ua, recall and share in [0, 1]. Written by aggregate. Read by report and `ifmmin results`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ifmmin.core.files import ArtifactError, atomic_folder, read_csv, read_json, write_csv, write_json
from ifmmin.core.terms import AVERAGE

COLUMNS = {
    "scores": ["system", "fold", "seed", "condition", "wa", "ua"],
    "table": [
        *(
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
        ),
        *("wa_low", "wa_high", "ua_low", "ua_high", "note"),
    ],
    "confusion": ["system", "condition", "actual", "predicted", "count", "share"],
    "recalls": ["system", "condition", "class", "recall"],
    "significance": [
        *("other", "condition", "metric", "n_folds", "n_seeds", "difference", "ci_low", "ci_high"),
        *("p", "p_holm", "detectable", "effect_size", "note"),
    ],
    "comparison": ["system", "condition", "metric", "ours", "paper", "difference", "note"],
}
TEXTS = (
    *("system", "other", "condition", "metric", "actual", "predicted", "class", "note"),
    *("wa_marks", "ua_marks"),
)
"""Columns read as text, since a class may be called None or 01."""


def write_scores(path: Path, scores: pd.DataFrame) -> None:
    """Write scores.csv."""
    write_csv(path, scores[COLUMNS["scores"]])


def write_nested(path: Path, nested: Mapping[str, Any]) -> None:
    """Write table1.json, with keys in the order of Table 1."""
    write_json(path, nested, sort_keys=False)


def write_summary(path: Path, folder: Path, nested: Mapping[str, Any]) -> None:
    """Write summary.json, the average of each system, and one file for each; other files in the folder go."""
    averages = {system: by_condition[AVERAGE] for system, by_condition in nested.items()}
    write_json(path, averages, sort_keys=False)
    with atomic_folder(folder, over=True) as new:
        for system, average in averages.items():
            write_json(new / f"{system}.json", average)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write table1.csv."""
    write_csv(path, table[COLUMNS["table"]])


def write_confusions(path: Path, confusions: pd.DataFrame) -> None:
    """Write confusion.csv."""
    write_csv(path, confusions[COLUMNS["confusion"]])


def write_recalls(path: Path, recalls: pd.DataFrame) -> None:
    """Write recalls.csv."""
    write_csv(path, recalls[COLUMNS["recalls"]])


def write_significance(path: Path, tests: pd.DataFrame) -> None:
    """Write significance.csv."""
    write_csv(path, tests)


def write_comparison(path: Path, comparison: pd.DataFrame) -> None:
    """Write comparison.csv."""
    write_csv(path, comparison)


def write_runs(path: Path, run_metadata: Mapping[tuple[str, int, int], Mapping[str, Any]]) -> None:
    """Write runs.json: (system, fold, seed) to the metadata of the run."""
    runs = [{"system": s, "fold": f, "seed": n, **metadata} for (s, f, n), metadata in run_metadata.items()]
    write_json(path, {"runs": runs})


def read(path: Path, name: str) -> pd.DataFrame:
    """Read the CSV called `name` in COLUMNS.

    Raises:
        ArtifactError: if the file is not a CSV or has other columns.
    """
    text_columns = dict.fromkeys(TEXTS, "str")
    table = read_csv(path, "Rerun aggregate.", keep_default_na=False, na_values=[""], dtype=text_columns)
    if list(table.columns) != COLUMNS[name]:
        raise ArtifactError(
            f"{path}: columns are {', '.join(table.columns)}; expected {', '.join(COLUMNS[name])}. "
            "Rerun aggregate."
        )
    return table.fillna({column: "" for column in TEXTS if column in table})


def read_runs(path: Path) -> dict[tuple[str, int, int], dict[str, Any]]:
    """Read runs.json: (system, fold, seed) to the metadata of the run.

    Raises:
        ArtifactError: if the list of runs is missing, or a run lacks system, fold or seed.
    """
    runs = read_json(path, "Rerun aggregate.").get("runs")
    if not isinstance(runs, list) or not all(map(_is_run, runs)):
        raise ArtifactError(
            f"{path}: runs is not a list of runs; expected system, fold and seed for each. Rerun aggregate."
        )
    return {(run.pop("system"), run.pop("fold"), run.pop("seed")): run for run in runs}


def _is_run(run: object) -> bool:
    types = {"system": str, "fold": int, "seed": int}
    return isinstance(run, dict) and all(isinstance(run.get(key), type_) for key, type_ in types.items())
