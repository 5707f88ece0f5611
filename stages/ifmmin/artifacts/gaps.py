"""What one trained system says about the test utterances of its fold when some of their frames are missing.

    data/gaps/<system>/<fold>-<seed>.parquet

    share          float64, how likely a frame was missing, above 0
    utterance_id   text
    condition      a, v, t, av, at, vt, or avt (full input)
    label          int64, index of the target class
    predicted      int64, index of the largest logit
    logit_<class>  float32, one column for each class in label order

Key: (share, condition, utterance_id), in the order of the predictions, which have the same for a share of 0.
Written by evaluate. Read by robustness.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ifmmin.files import ArtifactError, read_parquet, write_parquet
from ifmmin.terms import LOGIT, logit_columns

FIXED = [
    ("share", pa.float64()),
    ("utterance_id", pa.string()),
    ("condition", pa.string()),
    ("label", pa.int64()),
    ("predicted", pa.int64()),
]


def _schema(columns: list[str]) -> pa.Schema:
    return pa.schema([*FIXED, *((name, pa.float32()) for name in columns)])


def write(path: Path, tables: dict[float, pd.DataFrame], classes: list[str]) -> None:
    """Write predictions by the share of missing frames, after checking them."""
    schema = _schema([LOGIT + name for name in classes])
    parts = [table.assign(share=share)[schema.names] for share, table in tables.items()]
    table = pd.concat(parts, ignore_index=True)
    _check(path, table)
    write_parquet(path, table, schema)


def read(path: Path) -> dict[float, pd.DataFrame]:
    """Read predictions by the share of missing frames.

    Raises:
        ArtifactError: if a logit is not finite.
    """
    table, _ = read_parquet(path, lambda names: _schema(logit_columns(names)))
    _check(path, table)
    parts = table.groupby("share").__iter__()
    return {float(str(share)): part.drop(columns="share") for share, part in parts}


def _check(path: Path, table: pd.DataFrame) -> None:
    if not np.isfinite(table[logit_columns(table.columns)].to_numpy()).all():
        raise ArtifactError(f"{path}: a logit is not finite. Rerun the evaluate stage that writes it.")
