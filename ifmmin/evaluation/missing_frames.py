"""Predictions of a trained system for the test utterances of its fold, with missing frames.

    data/missing_frames/<system>/<fold>-<seed>.parquet

    missing_rate   float64, probability that a frame is missing, above 0
    utterance_id   text
    condition      a, v, t, av, at, vt, or avt (full input)
    label          int64, index of the target class
    predicted      int64, index of the largest logit
    logit_<class>  float32, one column for each class in label order

Key: (missing_rate, condition, utterance_id), in the order of data/predictions, which holds rate 0. The file's
metadata "run" holds system, fold and seed as JSON. Written by evaluate. Read by robustness.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ifmmin.core.files import ArtifactError, check_source, read_parquet, write_parquet
from ifmmin.core.terms import LOGIT, logit_columns

FIXED = [
    ("missing_rate", pa.float64()),
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
    """Check the predictions at each missing rate and write them.

    Args:
        path: the file.
        tables: missing rate to predictions.
        classes: class names in label order.
        source: system, fold and seed.
    """
    schema = _schema([LOGIT + name for name in classes], {"run": json.dumps(source, sort_keys=True)})
    parts = [table.assign(missing_rate=rate)[schema.names] for rate, table in tables.items()]
    table = pd.concat(parts, ignore_index=True)
    _check(path, table)
    write_parquet(path, table, schema)


def read(path: Path, **expected: object) -> dict[float, pd.DataFrame]:
    """Read the predictions at each missing rate: missing rate to predictions.

    Args:
        path: the file.
        expected: system, fold and seed of the run.

    Raises:
        ArtifactError: if a logit is not finite or the file belongs to another run.
    """
    table, metadata = read_parquet(path, lambda names: _schema(logit_columns(names)))
    _check(path, table)
    try:
        source = dict(json.loads(metadata["run"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        source = {}
    check_source(path, source, expected)
    parts = table.groupby("missing_rate").__iter__()
    return {float(str(rate)): part.drop(columns="missing_rate") for rate, part in parts}


def _check(path: Path, table: pd.DataFrame) -> None:
    if not np.isfinite(table[logit_columns(table.columns)].to_numpy()).all():
        raise ArtifactError(f"{path}: a logit is not finite; expected finite numbers. Rerun evaluate.")
