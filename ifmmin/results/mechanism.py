"""Whether the paper's mechanism works, in numbers.

    metrics/mechanism.csv   network, fold, seed, measure, condition, value, reference

network     pretraining; pretraining_no_cmd (the same without L_cmd); untrained (random weights); a system
measure     active_units (of H^m), reference: those of random weights
            probe: accuracy of a linear classifier that tells the modality from H^m, reference: chance, 1/3
            rank_at: rank of an utterance's own H^t by distance from its H^a, reference: chance, 0.5
            L_cmd_plain, L_cmd_scale_free, reference: the value without the loss
            R2 of the missing modalities' H, predicted by H', reference: 0, the mean of H
            L_inv_available, _missing, _all, reference: the value of a constant H'
condition   a modality (active_units); avt, the full input; one of the six (R2); six, all of them (L_inv)
reference   empty where there is none

One row for each network, fold, seed, measure and condition, on the test utterances. Written by measure. Read
by report.
"""

from pathlib import Path

import pandas as pd

from ifmmin.core.files import ArtifactError, read_csv, write_csv

COLUMNS = ["network", "fold", "seed", "measure", "condition", "value", "reference"]


def write(path: Path, table: pd.DataFrame) -> None:
    """Write the table."""
    write_csv(path, table[COLUMNS])


def read(path: Path) -> pd.DataFrame:
    """Read the table.

    Raises:
        ArtifactError: if the file is not a CSV or a column is missing.
    """
    texts = dict.fromkeys(("network", "measure", "condition"), "str")
    table = read_csv(path, "Rerun measure.", keep_default_na=False, na_values=[""], dtype=texts)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ArtifactError(
            f"{path}: column {missing[0]!r} is missing; expected {', '.join(COLUMNS)}. Rerun measure."
        )
    return table


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Average over folds and seeds: network, measure, condition, value, reference, in order of appearance."""
    keys = ["network", "measure", "condition"]
    return table.groupby(keys, sort=False)[["value", "reference"]].mean().reset_index()
