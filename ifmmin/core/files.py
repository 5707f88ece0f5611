"""Write and read artifacts.

Writes are atomic (a file is complete under its final name, or absent) and reproducible to the byte. Reads
check names and types and execute nothing.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ifmmin.core.errors import UserError, one_line

NUMBERS = (pa.float32(), pa.float64())
"""Column types that may have missing values (NaN)."""


class ArtifactError(UserError):
    """A pipeline file or a file of a feature pack does not meet its specification.

    The message has one line per error.
    """


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file atomically: yield a temporary path and move it to `path` if the block succeeds.

    Args:
        path: final path; its folder is created if missing.

    Yields:
        A temporary path in the same folder. A leftover file of a killed process is removed first.

    Raises:
        OSError: with the final path, if the disk is full or not writable.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".writing-{path.name}")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, over: bool) -> Iterator[Path]:
    """Write a folder atomically: yield a temporary folder and move it to `path` if the block succeeds.

    Args:
        path: final path; an empty folder may exist there.
        over: whether to replace a folder with content. In this case, leftovers of a killed process are
            removed first; if that process had moved the old folder away, it is restored.

    Yields:
        The temporary folder, empty.

    Raises:
        ArtifactError: if a temporary folder of another process exists and `over` is false.
        OSError: if the folder cannot be moved to `path`, for example because another process wrote there.
    """
    path = path.resolve()
    temporary = path.with_name(f".writing-{path.name}")
    new, old = temporary / "new", temporary / "old"
    if over:
        _clear(temporary, old, path)
    elif temporary.exists():
        raise ArtifactError(
            f"{temporary}: exists; another process writes there, or was killed. Wait for it, or delete this "
            "folder."
        )
    new.mkdir(parents=True)
    try:
        yield new
        if over and path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error
    finally:
        _clear(temporary, old, path)


def _clear(temporary: Path, old: Path, path: Path) -> None:
    if old.exists() and not path.exists():
        old.rename(path)
    shutil.rmtree(temporary, ignore_errors=True)


def check_source(path: Path, metadata: Mapping[str, Any], expected: Mapping[str, object]) -> None:
    """Check that a file belongs to the expected system, fold and seed.

    Args:
        path: the file.
        metadata: metadata of the file.
        expected: required values, by key.

    Raises:
        ArtifactError: if values differ; the message lists all differences.
    """
    differing = [key for key, value in expected.items() if metadata.get(key) != value]
    if differing:
        actual, required = (
            ", ".join(f"{key} {values.get(key)!r}" for key in differing) for values in (metadata, expected)
        )
        raise ArtifactError(
            f"{path}: holds {actual}; expected {required}. Pass the file of that {' and '.join(differing)}, "
            "or rerun the stage that writes it."
        )


def read_json(path: Path, remedy: str = "Rerun the stage that writes it.") -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: the file.
        remedy: last sentence of the error message: what to do.

    Raises:
        ArtifactError: if the file is not a JSON object.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: not readable as JSON ({one_line(error)}). {remedy}") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: holds a {type(content).__name__}; expected a JSON object. {remedy}")
    return content


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_json(path: Path, content: Mapping[str, Any], *, sort_keys: bool = True) -> None:
    """Write JSON, indented by two spaces, with sorted keys unless `sort_keys` is false."""
    write_text(path, json.dumps(content, indent=2, sort_keys=sort_keys, ensure_ascii=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV without an index column. Numbers have full precision; missing values are empty."""
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_csv(path: Path, remedy: str = "Rerun the stage that writes it.", **options: Any) -> pd.DataFrame:  # noqa: ANN401 - typed by pandas
    """Read a CSV.

    Args:
        path: the file.
        remedy: last sentence of the error message: what to do.
        options: passed to pandas.read_csv.

    Raises:
        ArtifactError: if the file is not a CSV, or a row has more cells than the header.
    """
    try:
        table: pd.DataFrame = pd.read_csv(path, **options)
        if not isinstance(table.index, pd.RangeIndex):
            raise ValueError("rows have more cells than the header")
    except (ValueError, OverflowError) as error:
        raise ArtifactError(f"{path}: not readable as CSV ({one_line(error)}). {remedy}") from error
    return table


def write_parquet(path: Path, table: pd.DataFrame, schema: pa.Schema) -> None:
    """Write a parquet file whose bytes depend only on the values and the pyarrow version.

    The file has no index, no pandas metadata and no compression.
    """
    content = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    with atomic_write(path) as temporary:
        pq.write_table(content.replace_schema_metadata(schema.metadata), temporary, compression="none")


def read_parquet(
    path: Path, schema: pa.Schema | Callable[[list[str]], pa.Schema]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Read a parquet file and check the names, types and order of its columns, and that no cell is empty.

    Args:
        path: the file.
        schema: expected schema, or a function from the column names to the expected schema.

    Returns:
        The table, and the text metadata of the file.

    Raises:
        ArtifactError: if the file is not parquet or does not match the schema.
        FileNotFoundError: if the file does not exist.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    try:
        actual = pq.read_schema(path)
        expected = schema if isinstance(schema, pa.Schema) else schema(actual.names)
        if len(set(actual.names)) < len(actual) or not actual.equals(expected, check_metadata=False):
            raise ArtifactError(
                f"{path}: columns are {actual.names}; expected {expected.names}, each once and with the "
                "types of its specification. Rerun the stage that writes it."
            )
        content = pq.read_table(path, schema=expected)
        metadata = {k.decode(): v.decode() for k, v in (actual.metadata or {}).items()}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"{path}: not a readable parquet file ({one_line(error)}). Rerun the stage that writes it."
        ) from error
    empty = [kind.name for kind in expected if content[kind.name].null_count and kind.type not in NUMBERS]
    if empty:
        raise ArtifactError(f"{path}: column {empty[0]!r} has empty cells. Rerun the stage that writes it.")
    return content.to_pandas(), metadata
