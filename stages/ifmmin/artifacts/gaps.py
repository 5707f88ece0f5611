"""What one trained system says about the test utterances of its fold when some of their frames are missing.

    data/gaps/<system>/<fold>-<seed>.parquet

    share          float64, how likely a frame was missing, above 0
    utterance_id   text
    condition      a, v, t, av, at, vt, or avt (full input)
    label          int64, index of the target class
    predicted      int64, index of the largest logit
    logit_<class>  float32, one column for each class in label order

Key: (share, condition, utterance_id), in the order of the predictions, which have the same for a share of 0.
The file's metadata "run" says in JSON which system, fold and seed they are of. Written by evaluate. Read by
robustness.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ifmmin.files import ArtifactError, check_source, read_parquet, write_parquet
from ifmmin.terms import LOGIT, logit_columns

FIXED = [
    ("share", pa.float64()),
    ("utterance_id", pa.string()),
    ("condition", pa.string()),
    ("label", pa.int64()),
    ("predicted", pa.int64()),
]


def _schema(columns: list[str], metadata: Mapping[str, str] | None = None) -> pa.Schema:
    return pa.schema([*FIXED, *((name, pa.float32()) for name in columns)], metadata=dict(metadata or {}))


def write(
    path: Path, tables: dict[float, pd.DataFrame], classes: list[str], source: Mapping[str, object]
) -> None:
    """Write predictions by the share of missing frames, after checking them.

    Args:
        path: where to.
        tables: share of missing frames to predictions.
        classes: class names in the order of the labels.
        source: system, fold and seed.
    """
    schema = _schema([LOGIT + name for name in classes], {"run": json.dumps(source, sort_keys=True)})
    parts = [table.assign(share=share)[schema.names] for share, table in tables.items()]
    table = pd.concat(parts, ignore_index=True)
    _check(path, table)
    write_parquet(path, table, schema)


def read(path: Path, **expected: object) -> dict[float, pd.DataFrame]:
    """Read predictions by the share of missing frames.

    Args:
        path: the file.
        expected: the system, fold and seed that it must be of.

    Raises:
        ArtifactError: if a logit is not finite, or the file is of another run.
    """
    table, metadata = read_parquet(path, lambda names: _schema(logit_columns(names)))
    _check(path, table)
    try:
        source = dict(json.loads(metadata["run"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        source = {}
    check_source(path, source, expected)
    parts = table.groupby("share").__iter__()
    return {float(str(share)): part.drop(columns="share") for share, part in parts}


def _check(path: Path, table: pd.DataFrame) -> None:
    if not np.isfinite(table[logit_columns(table.columns)].to_numpy()).all():
        raise ArtifactError(f"{path}: a logit is not finite. Rerun the evaluate stage that writes it.")
