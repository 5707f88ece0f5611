"""One fold: the role of each utterance.

    data/folds/<fold>.parquet   utterance_id: text; role: train, validation or test. Sorted by utterance_id,
                                the key.

Written by the stage split; read by pretrain, train and evaluate.
"""

from pathlib import Path

import pandas as pd
import pandera.pandas as pa_
import pyarrow as pa

from ifmmin.core.files import ArtifactError, read_parquet, write_parquet
from ifmmin.core.terms import ROLES

SCHEMA = pa.schema([("utterance_id", pa.string()), ("role", pa.string())])
RULES = pa_.DataFrameSchema(
    {
        "utterance_id": pa_.Column(unique=True),
        "role": pa_.Column(checks=pa_.Check.isin(ROLES)),
    },
    strict=True,
)


def write(path: Path, fold: pd.DataFrame) -> None:
    """Check a fold and write it."""
    write_parquet(path, _validated(path, fold), SCHEMA)


def read(path: Path) -> pd.DataFrame:
    """Read a fold and check it.

    Raises:
        ArtifactError: if an utterance is listed twice or a role is unknown.
    """
    return _validated(path, read_parquet(path, SCHEMA)[0])


def number(path: Path) -> int:
    """The fold number, taken from the file name.

    Raises:
        ArtifactError: if the file name is not a number.
    """
    if not (path.stem.isascii() and path.stem.isdecimal()):
        raise ArtifactError(
            f"{path}: file name is not a fold number; expected data/folds/<fold>.parquet. Rename it."
        )
    return int(path.stem)


def _validated(path: Path, fold: pd.DataFrame) -> pd.DataFrame:
    try:
        validated: pd.DataFrame = RULES.validate(fold, lazy=True)
    except pa_.errors.SchemaErrors as error:
        raise ArtifactError(f"{path}: {error.failure_cases.to_string(index=False)}. Rerun split.") from error
    return validated
