"""Experiments compared, for a terminal, a paper's draft and a program.

    ablations/<reference>..<other>.md    what is printed
    ablations/<reference>..<other>.csv   system, condition, metric, n_folds, n_seeds, reference, other,
                                         difference, low, high, ci_low, ci_high, p, p_holm, note: every system

Outside git and DVC. Written by compare.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from ifmmin.files import whole, write_csv
from ifmmin.terms import AVERAGE, METRICS, braces

LEVEL = 0.05


def text(table: pd.DataFrame, reference: str, other: str, changed: Mapping[str, tuple[Any, Any]]) -> str:
    """Print a comparison as Markdown: systems that differ line by line, the others by name.

    Args:
        table: what `contrast.compared` gives.
        reference: name of the one experiment.
        other: name of the other.
        changed: keys of params.yaml in which they differ, with both values.
    """
    systems = list(dict.fromkeys(table["system"]))
    differ = set(table.loc[table[["low", "high"]].any(axis=1), "system"])
    moved, same = [s for s in systems if s in differ], [s for s in systems if s not in differ]
    differing = [f"`{key}`: {a} -> {b}" for key, (a, b) in changed.items()] or ["nothing in params.yaml"]
    n_folds, n_seeds = int(table["n_folds"].max()), int(table["n_seeds"].max())
    lines = [f"## {other} against {reference}", "", *(f"- {line}" for line in differing), ""]
    if moved:
        lines += [
            _grid(table[table["system"].isin(moved)]),
            "",
            f"Folds: {n_folds}, seeds: {n_seeds}. Difference: {other} minus {reference},",
            "[95 % interval] over test utterances, networks as trained (bootstrap within fold and class).",
            _about_folds(table, moved),
        ]
    if same:
        lines.append(
            f"No difference on any utterance in the six conditions, seeds averaged: {', '.join(same)}."
        )
    return "\n".join(lines) + "\n"


def write(folder: Path, name: str, table: pd.DataFrame, text: str) -> None:
    """Write a comparison under a name, in which a slash becomes a dash."""
    stem = name.replace("/", "-")
    write_csv(folder / f"{stem}.csv", table)
    with whole(folder / f"{stem}.md") as temporary:
        temporary.write_text(text, "utf-8")


def _grid(table: pd.DataFrame) -> str:
    grid = Table(box=box.MARKDOWN)
    for head in ("system", "condition"):
        grid.add_column(head, no_wrap=True)
    for metric in METRICS:
        grid.add_column(metric.upper(), justify="right", no_wrap=True)
        grid.add_column(f"difference in {metric.upper()}", no_wrap=True)
    for (system, condition), rows in table.groupby(["system", "condition"], sort=False):
        cells = [cell for row in rows.to_dict("records") for cell in _cells(row)]
        grid.add_row(str(system), AVERAGE if condition == AVERAGE else braces(str(condition)), *cells)
    written = io.StringIO()
    Console(file=written, width=200, color_system=None).print(grid)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines() if line.strip())


def _cells(row: Mapping[Any, Any]) -> Sequence[str]:
    mark = "*" if row["p_holm"] < LEVEL else ""
    return (
        f"{row['other']:.4f}",
        f"{row['difference']:+.4f}{mark} [{row['low']:+.4f}, {row['high']:+.4f}]",
    )


def _about_folds(table: pd.DataFrame, moved: Sequence[str]) -> str:
    tested = table[table["system"].isin(moved) & table["p"].notna()]
    if tested.empty:
        return f"No test over folds: {table.loc[table['system'].isin(moved), 'note'].iloc[0]}."
    held = int((tested["p_holm"] < LEVEL).sum())
    test = f"p < {LEVEL} after Holm (corrected resampled t-test)"
    return f"* holds over folds too, {test}: {held} of {len(tested)}."
