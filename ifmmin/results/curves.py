"""The data behind the figures.

    metrics/curves.csv   system, epoch, chosen (share of the runs that keep the weights of this epoch), and
                         the mean over folds and seeds of each other column of the histories
    metrics/trainings.csv   training (a system or a kind of pretraining), run (fold 1, seed 0), step (the
                         epoch, under the name that DVCLive gives it), L, validation_L_cls, validation_ua:
                         every run
    metrics/fig3a.csv    network (trained or random weights), utterance_id, condition, class, x, y: the points
                         of figure 3a
    metrics/fig3b.csv    fold, seed, epoch, L_inv: the curves that figure 3b averages;
                         validation_L_inv_constant and, where the system has one, _floor: what they are
                         compared with
    metrics/robustness.csv
                         system, missing (modalities or frames), condition, missing_rate, wa, ua, their _std,
                         n_folds, n_seeds

Written by draw and robustness. Read by report, except trainings.csv, which `dvc plots` reads, as it does
curves.csv.
"""

from pathlib import Path

import pandas as pd

from ifmmin.core.files import ArtifactError, read_csv, write_csv

REQUIRED = {
    "curves": ("system", "epoch", "chosen", "L", "validation_L_cls", "validation_ua"),
    "fig3a": ("network", "utterance_id", "condition", "class", "x", "y"),
    "fig3b": ("fold", "seed", "epoch", "L_inv"),
    "robustness": ("system", "missing", "condition", "missing_rate", "wa", "ua", "wa_std", "ua_std"),
}


def write(path: Path, curves: pd.DataFrame) -> None:
    """Write one of the tables."""
    write_csv(path, curves)


def read(path: Path, name: str) -> pd.DataFrame:
    """Read the table called `name` in REQUIRED.

    Raises:
        ArtifactError: if the file is not a CSV or a column is missing.
    """
    text_columns = dict.fromkeys(
        ("system", "network", "utterance_id", "condition", "class", "missing"), "str"
    )
    table = read_csv(
        path, "Rerun the stage that writes it.", keep_default_na=False, na_values=[""], dtype=text_columns
    )
    missing = [column for column in REQUIRED[name] if column not in table]
    if missing:
        raise ArtifactError(
            f"{path}: column {missing[0]!r} is missing; expected {', '.join(REQUIRED[name])}. "
            "Rerun the stage that writes it."
        )
    return table
