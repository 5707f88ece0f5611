"""Table 1 and what lies behind it.

    metrics/scores.csv       system, fold, seed, condition, wa, ua: every run
                             (condition "average": mean of the six)
    metrics/table1.json      system -> condition -> {ua, wa}; systems in row order,
                             average first, avt last; unrounded
    metrics/table1.csv       system, condition, wa, ua, wa_std, ua_std, n_folds, n_seeds
    metrics/table1.md        for people: a line for each system, rounded to four digits, and a footnote
    metrics/confusion/<condition>.csv
                             actual, predicted: class names, a line for each test utterance
                             and run of one system

wa, ua in [0, 1]. Written by aggregate.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ifmmin.files import whole, write_csv, write_json
from ifmmin.terms import CONDITIONS, FULL


def write_scores(path: Path, scores: pd.DataFrame) -> None:
    """Write the scores of every run."""
    write_csv(path, scores[["system", "fold", "seed", "condition", "wa", "ua"]])


def write_nested(path: Path, nested: Mapping[str, Any]) -> None:
    """Write table1.json; the order of its keys is that of Table 1."""
    write_json(path, nested, sort_keys=False)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write table1.csv."""
    write_csv(path, table)


def write_confusion(path: Path, pairs: pd.DataFrame) -> None:
    """Write the pairs that a confusion matrix counts."""
    write_csv(path, pairs[["actual", "predicted"]])


def write_markdown(path: Path, table: pd.DataFrame, notes: Sequence[str]) -> None:
    """Write table1.md.

    WA and UA stand side by side for each condition, the average last, the full input behind it.
    """
    with whole(path) as temporary:
        temporary.write_text(markdown(table, notes), "utf-8")


def markdown(table: pd.DataFrame, notes: Sequence[str]) -> str:
    """Lay Table 1 out as Markdown."""
    shown = (*CONDITIONS, "average", FULL)
    heads = [f"{{{','.join(c)}}}" if c != "average" else "Average" for c in shown]
    lines = [
        "| System | " + " | ".join(f"{head} WA | {head} UA" for head in heads) + " |",
        "|---|" + "---:|" * (2 * len(shown)),
    ]
    for system, rows in table.groupby("system", sort=False):
        cells = rows.set_index("condition")
        values = [f"{number:.4f}" for number in cells.loc[list(shown), ["wa", "ua"]].to_numpy().flatten()]
        lines.append(f"| {system} | " + " | ".join(values) + " |")
    return "\n".join([*lines, "", *(f"{note}  " for note in notes)]) + "\n"
