"""Comparisons of two experiments, as Markdown and CSV.

    ablations/<reference>..<other>.md    the printed comparison
    ablations/<reference>..<other>.csv   system, condition, metric, n_folds, n_seeds, reference, other,
                                         difference, low, high, seed_std, ci_low, ci_high, p, p_holm,
                                         detectable, note: every system

Outside git and DVC. Written by compare.
"""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from ifmmin.core.files import write_csv, write_text
from ifmmin.core.terms import METRICS
from ifmmin.results.significance import LEVEL
from ifmmin.results.table1 import heading


def text(table: pd.DataFrame, reference: str, other: str, changed: Mapping[str, tuple[Any, Any]]) -> str:
    """Format a comparison as Markdown: a table of the systems that differ, and the names of the others.

    Args:
        table: result of `experiment_diff.compared`.
        reference: name of the reference experiment.
        other: name of the other experiment.
        changed: keys of params.yaml that differ, with both values.
    """
    systems = list(dict.fromkeys(table["system"]))
    nonzero = set(table.loc[table[["low", "high"]].any(axis=1), "system"])
    different, same = [s for s in systems if s in nonzero], [s for s in systems if s not in nonzero]
    parameters = [f"`{key}`: {a} -> {b}" for key, (a, b) in changed.items()] or ["no change in params.yaml"]
    n_folds, n_seeds = int(table["n_folds"].max()), int(table["n_seeds"].max())
    lines = [f"## {other} vs. {reference}", "", *(f"- {line}" for line in parameters), ""]
    if different:
        lines += [
            _grid(table[table["system"].isin(different)]),
            "",
            f"Folds: {n_folds}, seeds: {n_seeds}. Difference: {other} minus {reference},",
            _about_intervals(n_seeds),
            _about_folds(table, different),
        ]
    if same:
        lines.append(f"No difference on any utterance in the six conditions: {', '.join(same)}.")
    return "\n".join(lines) + "\n"


def write(folder: Path, name: str, table: pd.DataFrame, text: str) -> None:
    """Write a comparison as CSV and Markdown; in the file name, a dash replaces each slash."""
    stem = name.replace("/", "-")
    write_csv(folder / f"{stem}.csv", table)
    write_text(folder / f"{stem}.md", text)


def _grid(table: pd.DataFrame) -> str:
    grid = Table(box=box.MARKDOWN)
    for head in ("system", "condition"):
        grid.add_column(head, no_wrap=True)
    for metric in METRICS:
        grid.add_column(metric.upper(), justify="right", no_wrap=True)
        grid.add_column(f"difference in {metric.upper()}", no_wrap=True)
    for (system, condition), rows in table.groupby(["system", "condition"], sort=False):
        cells = [cell for row in rows.to_dict("records") for cell in _cells(row)]
        grid.add_row(str(system), heading(str(condition)), *cells)
    output = io.StringIO()
    Console(file=output, width=200, color_system=None).print(grid)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines() if line.strip())


def _cells(row: Mapping[Any, Any]) -> Sequence[str]:
    mark = "*" if row["p_holm"] < LEVEL else ""
    spread = "" if math.isnan(row["seed_std"]) else f" ± {row['seed_std']:.4f}"
    return (
        f"{row['other']:.4f}",
        f"{row['difference']:+.4f}{mark} [{row['low']:+.4f}, {row['high']:+.4f}]{spread}",
    )


def _about_intervals(n_seeds: int) -> str:
    if n_seeds == 1:
        return (
            "[95 % interval] over test utterances, trained networks fixed (bootstrap within fold and class)."
        )
    return (
        "[95 % interval] over test utterances and seeds (bootstrap within fold and class); "
        "± standard deviation over seeds."
    )


def _about_folds(table: pd.DataFrame, systems: Sequence[str]) -> str:
    tested = table[table["system"].isin(systems) & table["p"].notna()]
    if tested.empty:
        return f"No test over folds: {table.loc[table['system'].isin(systems), 'note'].iloc[0]}."
    n_significant = int((tested["p_holm"] < LEVEL).sum())
    n_primary = int(tested["p_holm"].count())
    return (
        "* average UA differs significantly over folds too, corrected resampled t-test, "
        f"Holm-corrected p < {LEVEL}: {n_significant} of {n_primary}."
    )
