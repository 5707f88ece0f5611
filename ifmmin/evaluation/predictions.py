"""Predictions of a trained system for the test utterances of its fold, in each condition.

    data/predictions/<system>/<fold>-<seed>.parquet

    utterance_id   text
    condition      a, v, t, av, at, vt, or avt (full input)
    label          int64, index of the target class
    predicted      int64, index of the largest logit
    logit_<class>  float32, one column for each class in label order

Key: (utterance_id, condition); sorted by condition in the order above, then by utterance. The file's metadata
"run" holds as JSON: system, fold and seed; device and precision of pretraining, training and evaluation; and
the collapsed encoders. Written by evaluate. Read by aggregate, robustness, export and compare.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa_
import pyarrow as pa

from ifmmin.core.files import ArtifactError, check_source, read_parquet, write_parquet
from ifmmin.core.terms import CONDITIONS, FULL, LOGIT, logit_columns

FIXED = [
    ("utterance_id", pa.string()),
    ("condition", pa.string()),
    ("label", pa.int64()),
    ("predicted", pa.int64()),
]


def _schema(classes: list[str], metadata: Mapping[str, str] | None = None) -> pa.Schema:
    return pa.schema(
        [*FIXED, *((LOGIT + name, pa.float32()) for name in classes)], metadata=dict(metadata or {})
    )


def _classes(columns: Sequence[str]) -> list[str]:
    return [name.removeprefix(LOGIT) for name in logit_columns(columns)]


def write(path: Path, predictions: pd.DataFrame, classes: list[str], run: Mapping[str, Any]) -> None:
    """Check the predictions and write them."""
    schema = _schema(classes, {"run": json.dumps(run, sort_keys=True)})
    write_parquet(path, _checked(path, predictions, classes), schema)


def read(path: Path) -> tuple[pd.DataFrame, list[str], dict[str, Any]]:
    """Read the predictions and check them.

    Returns:
        The table, the class names and the metadata of the run.

    Raises:
        ArtifactError: if keys repeat, a condition is unknown, all six conditions are absent, a logit is not
            finite, or `predicted` is not the class of the largest logit.
    """
    table, metadata = read_parquet(path, lambda names: _schema(_classes(names)))
    classes = _classes([str(name) for name in table.columns])
    _checked(path, table, classes)
    try:
        run = json.loads(metadata["run"])
    except (KeyError, ValueError, RecursionError):
        run = None
    if not isinstance(run, dict):
        raise ArtifactError(
            f"{path}: the metadata 'run' is missing or invalid; expected a JSON object. Rerun evaluate."
        )
    return table, classes, run


def read_all(
    folder: Path, keys: Iterable[tuple[str, int, int]]
) -> tuple[dict[tuple[str, int, int], pd.DataFrame], dict[tuple[str, int, int], dict[str, Any]]]:
    """Read the predictions of the listed runs.

    Args:
        folder: data/predictions.
        keys: (system, fold, seed) of each run.

    Returns:
        Key to table, and key to the metadata of the run.

    Raises:
        ArtifactError: if the metadata of a file names another run than its path (files written before
            2026-11-28 do not name their run).
    """
    tables, runs = {}, {}
    for system, fold, seed in keys:
        path = folder / system / f"{fold}-{seed}.parquet"
        table, _, run = read(path)
        key = {"system": system, "fold": fold, "seed": seed}
        check_source(path, run, {name: value for name, value in key.items() if name in run})
        tables[system, fold, seed], runs[system, fold, seed] = table, run
    return tables, runs


def _checked(path: Path, predictions: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    logits = [LOGIT + name for name in classes]
    if not logits:
        raise ArtifactError(f"{path}: has no column of logits; expected one for each class. Rerun evaluate.")
    index = pa_.Check.in_range(0, len(classes) - 1)
    rules = pa_.DataFrameSchema(
        {
            "utterance_id": pa_.Column(),
            "condition": pa_.Column(checks=pa_.Check.isin((*CONDITIONS, FULL))),
            "label": pa_.Column(checks=index),
            "predicted": pa_.Column(checks=index),
            **{
                name: pa_.Column(checks=pa_.Check(lambda x: x.abs() < float("inf"), error="is not finite"))
                for name in logits
            },
        },
        strict=True,
        unique=["utterance_id", "condition"],
    )
    try:
        checked: pd.DataFrame = rules.validate(predictions, lazy=True)
    except pa_.errors.SchemaErrors as error:
        cases = error.failure_cases
        first = cases.iloc[0]
        raise ArtifactError(
            f"{path}: {len(cases)} invalid values in {len(predictions)} rows, first "
            f"{first['failure_case']!r} in column {first['column']} ({first['check']}). Rerun evaluate."
        ) from error
    if not checked["condition"].isin(CONDITIONS).any():
        raise ArtifactError(
            f"{path}: has no predictions in any of the six conditions; expected all six. Rerun evaluate."
        )
    if (checked[logits].to_numpy().argmax(1) != checked["predicted"].to_numpy()).any():
        raise ArtifactError(
            f"{path}: a value in column predicted is not the class of the largest logit. Rerun evaluate."
        )
    return checked
