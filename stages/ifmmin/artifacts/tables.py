"""Table 1 and what lies behind it, as data. Table 1 for people is in artifacts/printed.py.

    metrics/scores.csv        system, fold, seed, condition, wa, ua: every run
                              (condition "average": mean of the six)
    metrics/table1.json       system -> condition -> {ua, wa}; systems in row order, average first, avt last;
                              unrounded; a condition that a system does not predict has no entry
    metrics/table1.csv        system, condition, wa, ua, wa_std, ua_std, n_folds, n_seeds, wa_marks, ua_marks,
                              wa_low, wa_high, ua_low, ua_high: a line for each system and condition in the
                              same order; numbers empty and counts 0 where a system does not predict a
                              condition; deviations empty for one run; marks as printed ("↑⇑", "*+"), empty
                              for none; ends of a 95 % interval, empty for fewer than three folds
    metrics/confusion.csv     system, condition, actual, predicted, count, share: a line for each pair of
                              classes, by name, of each condition that a system predicts; over all folds and
                              seeds; share of the utterances of the actual class, empty where it has none
    metrics/recalls.csv       system, condition, class, recall: averaged as Table 1 is, so that its mean over
                              the classes is the UA of Table 1
    metrics/significance.csv  the tests of one system against another, as the stage computes them
    metrics/comparison.csv    Table 1 beside the paper's, as the stage computes it
    metrics/runs.json         runs: system, fold, seed of each, and what its predictions say of how it was
                              made: pretrained (null without pretraining), trained and evaluated, each with
                              device and precision; collapsed, the encoders that did

wa, ua, recall and share in [0, 1]. Written by aggregate. Read by report.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ifmmin.files import ArtifactError, read_csv, read_json, write_csv, write_json

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
        *("wa_low", "wa_high", "ua_low", "ua_high"),
    ],
    "confusion": ["system", "condition", "actual", "predicted", "count", "share"],
    "recalls": ["system", "condition", "class", "recall"],
    "significance": [
        *("other", "condition", "metric", "n_folds", "n_seeds", "difference", "ci_low", "ci_high"),
        *("p", "p_holm", "effect_size", "note"),
    ],
    "comparison": ["system", "condition", "metric", "ours", "paper", "difference", "note"],
}
TEXTS = (
    *("system", "other", "condition", "metric", "actual", "predicted", "class", "note"),
    *("wa_marks", "ua_marks"),
)
"""Columns of words, whatever they look like: a class may be called None or 01."""


def write_scores(path: Path, scores: pd.DataFrame) -> None:
    """Write the scores of every run."""
    write_csv(path, scores[COLUMNS["scores"]])


def write_nested(path: Path, nested: Mapping[str, Any]) -> None:
    """Write table1.json; the order of its keys is that of Table 1."""
    write_json(path, nested, sort_keys=False)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write table1.csv."""
    write_csv(path, table[COLUMNS["table"]])


def write_confusions(path: Path, confusions: pd.DataFrame) -> None:
    """Write what each system takes each class for."""
    write_csv(path, confusions[COLUMNS["confusion"]])


def write_recalls(path: Path, recalls: pd.DataFrame) -> None:
    """Write the recall of each class."""
    write_csv(path, recalls[COLUMNS["recalls"]])


def write_significance(path: Path, tests: pd.DataFrame) -> None:
    """Write the tests of one system against another."""
    write_csv(path, tests)


def write_comparison(path: Path, comparison: pd.DataFrame) -> None:
    """Write Table 1 beside the paper's."""
    write_csv(path, comparison)


def write_runs(path: Path, made: Mapping[tuple[str, int, int], Mapping[str, Any]]) -> None:
    """Write how each run, (system, fold, seed), was made."""
    runs = [{"system": s, "fold": f, "seed": n, **facts} for (s, f, n), facts in made.items()]
    write_json(path, {"runs": runs})


def read(path: Path, name: str) -> pd.DataFrame:
    """Read one of the CSVs, by its name in COLUMNS.

    Raises:
        ArtifactError: if it is no CSV, or its columns are others.
    """
    words = dict.fromkeys(TEXTS, "str")
    table = read_csv(path, "Rerun aggregate.", keep_default_na=False, na_values=[""], dtype=words)
    if list(table.columns) != COLUMNS[name]:
        raise ArtifactError(
            f"{path}: columns are {', '.join(table.columns)}; expected {', '.join(COLUMNS[name])}. "
            "Rerun aggregate."
        )
    return table.fillna({column: "" for column in TEXTS if column in table})


def read_runs(path: Path) -> dict[tuple[str, int, int], dict[str, Any]]:
    """Read how each run, (system, fold, seed), was made.

    Raises:
        ArtifactError: if the file says it of no run, or of one without system, fold and seed.
    """
    runs = read_json(path, "Rerun aggregate.").get("runs")
    if not isinstance(runs, list) or not all(map(_is_run, runs)):
        raise ArtifactError(f"{path}: expected runs, each with system, fold and seed. Rerun aggregate.")
    return {(run.pop("system"), run.pop("fold"), run.pop("seed")): run for run in runs}


def _is_run(run: object) -> bool:
    kinds = {"system": str, "fold": int, "seed": int}
    return isinstance(run, dict) and all(isinstance(run.get(key), kind) for key, kind in kinds.items())
