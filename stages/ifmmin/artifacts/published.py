"""The paper's Table 1, typed from it.

    reference/paper_table1.csv

    system      text, by the name that its file has here
    condition   a, v, t, av, at, vt, or average (mean of the six)
    wa, ua      in [0, 1], four digits, as printed

Key: (system, condition); every system has all seven conditions. Part of the repository; read by aggregate.

Source: paper, Table 1.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ifmmin.files import ArtifactError, read_csv
from ifmmin.terms import AVERAGE, CONDITIONS, METRICS

COLUMNS = ["system", "condition", "wa", "ua"]
KNOWN = (*CONDITIONS, AVERAGE)
REMEDY = "Restore the file from git."


def read(path: Path) -> pd.DataFrame:
    """Read the paper's figures and check them.

    Returns:
        system, condition, wa, ua; in the order of the file.

    Raises:
        ArtifactError: if it is no CSV with these columns, a condition is unknown, missing or there twice, or
            a figure is not in [0, 1]; one line for each fault.
        FileNotFoundError: if there is none.
    """
    lines = read_csv(path, REMEDY, dtype=str, keep_default_na=False)
    if list(lines.columns) != COLUMNS:
        raise ArtifactError(f"{path}: columns are {list(lines.columns)}; expected {COLUMNS}. {REMEDY}")
    figures = lines.assign(wa=lines["wa"].map(_number), ua=lines["ua"].map(_number))
    faults = [*_cells(lines, figures), *_keys(figures)]
    if faults:
        raise ArtifactError("\n".join(f"{path}{fault} {REMEDY}" for fault in faults))
    return figures


def _number(text: object) -> float:
    """Read a number as Python does, to the last bit; NaN where there is none."""
    try:
        return float(str(text))
    except ValueError:
        return math.nan


def _cells(lines: pd.DataFrame, figures: pd.DataFrame) -> Iterator[str]:
    """Name each cell that cannot stand where it does."""
    for row, condition in enumerate(lines["condition"]):
        where = f", line {row + 2}"
        if condition not in KNOWN:
            yield f"{where}: condition {condition!r} is not known; expected one of {', '.join(KNOWN)}."
        for metric in METRICS:
            if not 0 <= figures[metric].iloc[row] <= 1:
                yield f"{where}: {metric} is {lines[metric].iloc[row]!r}; expected a number in [0, 1]."


def _keys(figures: pd.DataFrame) -> Iterator[str]:
    """Name what is there twice, and what is not there."""
    if figures.empty:
        yield ": holds no figure; expected those of the paper's Table 1."
    for system, conditions in figures.groupby("system", sort=False)["condition"]:
        counts = conditions.value_counts()
        yield from (
            f": {system!r} stands there {counts.get(c, 0)} times in condition {c!r}; expected once."
            for c in KNOWN
            if counts.get(c, 0) != 1
        )
