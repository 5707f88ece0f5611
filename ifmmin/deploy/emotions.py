"""Predicted emotions of new utterances.

    <name>.parquet or <name>.csv

    utterance_id   text
    condition      the modalities used: a, v, t, av, at, vt or avt
    emotion        text, the class with the largest probability
    p_<class>      float64 in [0, 1], one column for each class; their sum is 1
    warning        text, which other extractor was used; the column is absent if the extractors match those
                   of the training data

One row for each utterance, sorted by its id. Written by predict.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ifmmin.core.files import ArtifactError, write_csv, write_parquet

FORMATS = (".parquet", ".csv")


def check(path: Path) -> None:
    """Check the file format of an output path before any work is done.

    Raises:
        ArtifactError: if the file name extension is not supported.
    """
    if path.suffix not in FORMATS:
        actual = f"file name extension is {path.suffix}" if path.suffix else "has no file name extension"
        raise ArtifactError(f"{path}: {actual}; expected {' or '.join(FORMATS)}. Rename it.")


def write(path: Path, emotions: pd.DataFrame) -> None:
    """Write the table after checking its probabilities.

    Raises:
        ArtifactError: if a row is not a probability distribution.
    """
    p = emotions.loc[:, emotions.columns.str.startswith("p_")].to_numpy(float)
    if not (((p >= 0) & (p <= 1)).all() and np.allclose(p.sum(1), 1)):
        raise ArtifactError(
            f"{path}: probabilities are invalid; expected values from 0 to 1 with a sum of 1. Retrain."
        )
    if path.suffix == ".csv":
        write_csv(path, emotions)
        return
    names = map(str, emotions.columns)
    schema = pa.schema([(name, pa.float64() if name.startswith("p_") else pa.string()) for name in names])
    write_parquet(path, emotions, schema)


def text(emotions: pd.DataFrame, limit: int) -> str:
    """Format the first `limit` rows for printing, with probabilities in percent."""
    first = emotions.iloc[:limit]
    percent = (first.loc[:, first.columns.str.startswith("p_")] * 100).round(1).astype(str) + " %"
    shown = first.assign(**percent).rename(columns=lambda name: str(name).removeprefix("p_"))
    more = f"\n... and {len(emotions) - limit} more" if len(emotions) > limit else ""
    return shown.to_string(index=False) + more
