"""The paper's Table 1, transcribed.

    reference/paper_table1.csv

    system      text, name of the system's file in this repository
    condition   a, v, t, av, at, vt, or average (mean of the six)
    wa, ua      in [0, 1], four digits, as printed

Key: (system, condition); every system has all seven conditions. Tracked in git; read by aggregate.

Source: paper, Table 1.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ifmmin.core.files import ArtifactError, read_csv
from ifmmin.core.terms import AVERAGE, CONDITIONS, METRICS

COLUMNS = ["system", "condition", "wa", "ua"]
KNOWN = (*CONDITIONS, AVERAGE)
REMEDY = "Restore the file from git."


def read(path: Path) -> pd.DataFrame:
    """Read the paper's scores and check them.

    Returns:
        system, condition, wa, ua, in the order of the file.

    Raises:
        ArtifactError: if the file is not a CSV with these columns, a condition is unknown, missing or
            duplicated, or a score is not in [0, 1]; one line for each fault.
        FileNotFoundError: if the file does not exist.
    """
    lines = read_csv(path, REMEDY, dtype=str, keep_default_na=False)
    if list(lines.columns) != COLUMNS:
        raise ArtifactError(f"{path}: columns are {list(lines.columns)}; expected {COLUMNS}. {REMEDY}")
    scores = lines.assign(wa=lines["wa"].map(_number), ua=lines["ua"].map(_number))
    faults = [*_invalid_cells(lines, scores), *_invalid_keys(scores)]
    if faults:
        raise ArtifactError("\n".join(f"{path}{fault} {REMEDY}" for fault in faults))
    return scores


def _number(text: object) -> float:
    """Parse a number exactly, as Python does; NaN if the text is not a number."""
    try:
        return float(str(text))
    except ValueError:
        return math.nan


def _invalid_cells(lines: pd.DataFrame, scores: pd.DataFrame) -> Iterator[str]:
    """Describe each unknown condition and each score that is not in [0, 1]."""
    for row, condition in enumerate(lines["condition"]):
        where = f", line {row + 2}"
        if condition not in KNOWN:
            yield f"{where}: condition {condition!r} is not known; expected one of {', '.join(KNOWN)}."
        for metric in METRICS:
            if not 0 <= scores[metric].iloc[row] <= 1:
                yield f"{where}: {metric} is {lines[metric].iloc[row]!r}; expected a number in [0, 1]."


def _invalid_keys(scores: pd.DataFrame) -> Iterator[str]:
    """Describe missing and duplicated keys."""
    if scores.empty:
        yield ": has no scores; expected those of the paper's Table 1."
    for system, conditions in scores.groupby("system", sort=False)["condition"]:
        counts = conditions.value_counts()
        yield from (
            f": {system!r} occurs {counts.get(c, 0)} times in condition {c!r}; expected once."
            for c in KNOWN
            if counts.get(c, 0) != 1
        )
