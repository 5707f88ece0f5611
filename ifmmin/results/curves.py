"""The data behind the figures.

    metrics/curves.csv   system, epoch, and the mean over folds and seeds of each column of the histories
                         (except chosen)
    metrics/fig3a.csv    network (trained or random weights), utterance_id, condition, class, x, y: the points
                         of figure 3a
    metrics/fig3b.csv    fold, seed, epoch, L_inv: the curves that figure 3b averages;
                         validation_L_inv_constant and, where the system has one, _floor: what they are
                         compared with

Written by draw. Read by report; `dvc plots` also reads curves.csv.
"""

from pathlib import Path

import pandas as pd

from ifmmin.core.files import ArtifactError, read_csv, write_csv

REQUIRED = {
    "curves": ("system", "epoch", "L", "validation_L_cls", "validation_ua"),
    "fig3a": ("network", "utterance_id", "condition", "class", "x", "y"),
    "fig3b": ("fold", "seed", "epoch", "L_inv"),
}


def write(path: Path, curves: pd.DataFrame) -> None:
    """Write one of the tables."""
    write_csv(path, curves)


def read(path: Path, name: str) -> pd.DataFrame:
    """Read the table called `name` in REQUIRED.

    Raises:
        ArtifactError: if the file is not a CSV or a column is missing.
    """
    text_columns = dict.fromkeys(("system", "network", "utterance_id", "condition", "class"), "str")
    table = read_csv(path, "Rerun draw.", keep_default_na=False, na_values=[""], dtype=text_columns)
    missing = [column for column in REQUIRED[name] if column not in table]
    if missing:
        raise ArtifactError(
            f"{path}: column {missing[0]!r} is missing; expected {', '.join(REQUIRED[name])}. Rerun draw."
        )
    return table
