"""The predicted invariant features H' of the test utterances, for figure 3a.

    data/invariants/<system>/<fold>-<seed>.parquet   utterance_id, condition: text; H_prime: list of 3 x
                                                     hidden float32

The rows are those of the predictions; a system without invariant features has no rows. Written by evaluate.
Read by measure and draw. data/untrained.parquet has the same format; measure writes it.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ifmmin.core.files import ArtifactError, read_parquet, write_parquet

SCHEMA = pa.schema(
    [("utterance_id", pa.string()), ("condition", pa.string()), ("H_prime", pa.list_(pa.float32()))]
)


def write(path: Path, predictions: pd.DataFrame, values: NDArray[np.float32]) -> None:
    """Check H' [rows, 3 x hidden] and write it with its keys; no rows if the system has none.

    Args:
        path: the file.
        predictions: utterance_id and condition of each row; other columns are ignored.
        values: H' of each row, or (0, 0).

    Raises:
        ValueError: if the numbers of rows differ.
    """
    _check(path, values)
    keys = predictions[["utterance_id", "condition"]].iloc[: None if len(values) else 0]
    write_parquet(path, keys.assign(H_prime=pd.Series(list(values), index=keys.index, dtype=object)), SCHEMA)


def read(path: Path) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Read the keys and H' [rows, 3 x hidden].

    Raises:
        ArtifactError: if the rows differ in length or a value is not finite.
    """
    table, _ = read_parquet(path, SCHEMA)
    rows = list(table["H_prime"])
    if len({len(row) for row in rows}) > 1:
        raise ArtifactError(
            f"{path}: the rows of H' differ in length; expected equal lengths. Rerun evaluate."
        )
    values = np.stack(rows) if rows else np.empty((0, 0), np.float32)
    _check(path, values)
    return table[["utterance_id", "condition"]], values


def _check(path: Path, values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        raise ArtifactError(f"{path}: a value of H' is not finite; expected finite values. Rerun evaluate.")
