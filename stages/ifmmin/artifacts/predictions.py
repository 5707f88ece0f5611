"""What one trained system says about the test utterances of its fold, in each condition.

    data/predictions/<system>/<fold>-<seed>.parquet

    utterance_id   text
    condition      a, v, t, av, at, vt, or avt (full input)
    label          int64, index of the target class
    predicted      int64, index of the largest logit
    logit_<class>  float32, one column for each class in label order

Key: (utterance_id, condition); sorted by condition in the order above, then utterance. The file's metadata
"run" says in JSON which system, fold and seed they are of, on which kind of device and in which precision the
model was pretrained, trained and evaluated, and which encoders collapsed. Written by evaluate. Read by
aggregate, robustness, export and compare.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa_
import pyarrow as pa

from ifmmin.files import ArtifactError, check_source, read_parquet, write_parquet
from ifmmin.terms import CONDITIONS, FULL, LOGIT, logit_columns

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
    """Write predictions, after checking them."""
    schema = _schema(classes, {"run": json.dumps(run, sort_keys=True)})
    write_parquet(path, _checked(path, predictions, classes), schema)


def read(path: Path) -> tuple[pd.DataFrame, list[str], dict[str, Any]]:
    """Read predictions and check them.

    Returns:
        The table, the class names, and what the file says of the run.

    Raises:
        ArtifactError: if keys repeat, a condition is unknown, none of the six is there, a logit is not finite
            or is not matched by `predicted`.
    """
    table, metadata = read_parquet(path, lambda names: _schema(_classes(names)))
    classes = _classes([str(name) for name in table.columns])
    _checked(path, table, classes)
    try:
        run = json.loads(metadata["run"])
    except (KeyError, ValueError, RecursionError):
        run = None
    if not isinstance(run, dict):
        raise ArtifactError(f"{path}: does not say how it was made. Rerun the evaluate stage that writes it.")
    return table, classes, run


def read_all(
    folder: Path, keys: Iterable[tuple[str, int, int]]
) -> tuple[dict[tuple[str, int, int], pd.DataFrame], dict[tuple[str, int, int], dict[str, Any]]]:
    """Read the predictions of some runs, and no others.

    Args:
        folder: data/predictions.
        keys: (system, fold, seed) of each run.

    Returns:
        Key to table, and key to what the file says of the run.

    Raises:
        ArtifactError: if a file is of another run than its name says (files before 2026-11-28 do not say).
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
        raise ArtifactError(f"{path}: has no logits. Rerun the evaluate stage that writes it.")
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
            f"{path}: {len(cases)} faults in {len(predictions)} rows, first {first['failure_case']!r} "
            f"in column {first['column']} ({first['check']}). Rerun the evaluate stage that writes it."
        ) from error
    if not checked["condition"].isin(CONDITIONS).any():
        raise ArtifactError(
            f"{path}: holds no prediction in any of the six conditions; expected those of each. "
            "Rerun the evaluate stage that writes it."
        )
    if (checked[logits].to_numpy().argmax(1) != checked["predicted"].to_numpy()).any():
        raise ArtifactError(
            f"{path}: predicted is not the class of the largest logit. "
            "Rerun the evaluate stage that writes it."
        )
    return checked
