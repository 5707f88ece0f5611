"""One fold: which part each utterance has in it.

    data/folds/<fold>.parquet   utterance_id: text; role: train, validation or test. Sorted by utterance_id,
                                which is the key.

Written by split. Read by pretrain, train and evaluate.
"""

from pathlib import Path

import pandas as pd
import pandera.pandas as pa_
import pyarrow as pa

from ifmmin.files import ArtifactError, read_parquet, write_parquet
from ifmmin.terms import ROLES

SCHEMA = pa.schema([("utterance_id", pa.string()), ("role", pa.string())])
RULES = pa_.DataFrameSchema(
    {
        "utterance_id": pa_.Column(unique=True),
        "role": pa_.Column(checks=pa_.Check.isin(ROLES)),
    },
    strict=True,
)


def write(path: Path, fold: pd.DataFrame) -> None:
    """Write a fold, after checking it."""
    write_parquet(path, _checked(path, fold), SCHEMA)


def read(path: Path) -> pd.DataFrame:
    """Read a fold and check it.

    Raises:
        ArtifactError: if an utterance repeats or a role is unknown.
    """
    return _checked(path, read_parquet(path, SCHEMA)[0])


def number(path: Path) -> int:
    """The number of a fold, which is the name of its file.

    Raises:
        ArtifactError: if the file has another name.
    """
    if not (path.stem.isascii() and path.stem.isdecimal()):
        raise ArtifactError(f"{path}: is not named after a fold; expected data/folds/<fold>.parquet.")
    return int(path.stem)


def _checked(path: Path, fold: pd.DataFrame) -> pd.DataFrame:
    try:
        checked: pd.DataFrame = RULES.validate(fold, lazy=True)
    except pa_.errors.SchemaErrors as error:
        raise ArtifactError(f"{path}: {error.failure_cases.to_string(index=False)}. Rerun split.") from error
    return checked
