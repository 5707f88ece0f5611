"""What the figures show, as numbers.

    metrics/curves.csv   system, epoch, and the mean over folds and seeds of each column of the histories
                         (without chosen)
    metrics/fig3a.csv    utterance_id, condition, x, y: the points of figure 3a
    metrics/fig3b.csv    fold, seed, epoch, L_inv: the lines whose mean figure 3b shows

Written by draw. Read by report; the curves by `dvc plots` too.
"""

from pathlib import Path

import pandas as pd

from ifmmin.files import ArtifactError, read_csv, write_csv

REQUIRED = {
    "curves": ("system", "epoch", "L", "validation_L_cls", "validation_ua"),
    "fig3a": ("utterance_id", "condition", "x", "y"),
    "fig3b": ("fold", "seed", "epoch", "L_inv"),
}


def write(path: Path, curves: pd.DataFrame) -> None:
    """Write one of them."""
    write_csv(path, curves)


def read(path: Path, name: str) -> pd.DataFrame:
    """Read one of them, by its name in REQUIRED.

    Raises:
        ArtifactError: if it is no CSV, or a column is missing.
    """
    words = dict.fromkeys(("system", "utterance_id", "condition"), "str")
    table = read_csv(path, "Rerun draw.", keep_default_na=False, na_values=[""], dtype=words)
    missing = [column for column in REQUIRED[name] if column not in table]
    if missing:
        raise ArtifactError(f"{path}: column {missing[0]!r} is missing. Rerun draw.")
    return table
