"""Write and read artifacts.

Writes are atomic (a file is complete under its final name, or absent) and reproducible to the byte. Reads
treat files as untrusted input: no content is executed, and a small file that would expand to terabytes is
rejected. Reading JSON, CSV or parquet takes at most 1 GiB of memory plus 128 bytes for each byte of the file
(tests/formats/test_hostile.py).
"""

import csv
import errno
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ifmmin.core.errors import UserError, one_line

SLACK, CLAIM = 1 << 28, 32
"""Limit on the decoded size of a parquet file: SLACK bytes plus CLAIM bytes for each byte of the file. It
applies to the text, and to the values at 8 bytes each."""
COLUMNS = 1000
"""Maximum number of columns in a CSV."""
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


def write_json(path: Path, content: Mapping[str, Any], *, sort_keys: bool = True) -> None:
    """Write JSON, indented by two spaces, with sorted keys unless `sort_keys` is false."""
    with atomic_write(path) as temporary:
        temporary.write_text(
            json.dumps(content, indent=2, sort_keys=sort_keys, ensure_ascii=False) + "\n", "utf-8"
        )


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
        ArtifactError: if the file is not a CSV, or a row has fewer or more cells than the header.
    """
    content = path.read_bytes()
    try:
        columns = len(next(csv.reader(io.StringIO(content.decode("utf-8"), newline="")), []))
        if columns > COLUMNS:
            raise ValueError(f"{columns} columns; expected at most {COLUMNS}")
        # Each cell takes at least one byte (its separator). pandas would fill missing cells, up to terabytes.
        if columns * max(content.count(b"\n"), content.count(b"\r")) > len(content):
            raise ValueError("rows have fewer cells than the header")
        table: pd.DataFrame = pd.read_csv(io.BytesIO(content), **options)
        if not isinstance(table.index, pd.RangeIndex):
            raise ValueError("rows have more cells than the header")
    except (ValueError, OverflowError, csv.Error) as error:
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
        ArtifactError: if the file is not parquet, is compressed, would expand far beyond its size, or does
            not match the schema.
        FileNotFoundError: if the file does not exist.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    try:
        footer = pq.read_metadata(path)
        actual = footer.schema.to_arrow_schema()
        expected = schema if isinstance(schema, pa.Schema) else schema(actual.names)
        if len(set(actual.names)) < len(actual) or not actual.equals(expected, check_metadata=False):
            raise ArtifactError(
                f"{path}: columns are {actual.names}; expected {expected.names}, each once and with the "
                "types of its specification. Rerun the stage that writes it."
            )
        content = _decode(path, footer, expected)
        metadata = {k.decode(): v.decode() for k, v in (actual.metadata or {}).items()}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"{path}: not a readable parquet file ({one_line(error)}). Rerun the stage that writes it."
        ) from error
    empty = [kind.name for kind in expected if content[kind.name].null_count and kind.type not in NUMBERS]
    if empty:
        raise ArtifactError(f"{path}: column {empty[0]!r} has empty cells. Rerun the stage that writes it.")
    return content.to_pandas(), metadata


def _decode(path: Path, footer: pq.FileMetaData, schema: pa.Schema) -> pa.Table:
    """Read the columns of a parquet file after checking the decoded size.

    Parquet stores repeated values once, so a small file can decode to any size.
    """
    limit = SLACK + CLAIM * path.stat().st_size
    chunks = [
        footer.row_group(i).column(k) for i in range(footer.num_row_groups) for k in range(footer.num_columns)
    ]
    if any(chunk.compression != "UNCOMPRESSED" for chunk in chunks):
        raise ArtifactError(
            f"{path}: is compressed; expected no compression. Rerun the stage that writes it."
        )
    text_columns = [
        name for name, kind in zip(schema.names, schema.types, strict=True) if kind == pa.string()
    ]
    size = 8 * sum(chunk.num_values for chunk in chunks)
    if size <= limit:
        content = pq.ParquetFile(path, read_dictionary=text_columns).read()
        content.validate(full=True)
        size = sum(map(_text_bytes, (chunk for name in text_columns for chunk in content[name].chunks)))
    if size > limit:
        raise ArtifactError(
            f"{path}: decodes to {size} bytes; expected at most {limit} for a file of this size. "
            "Rerun the stage that writes it."
        )
    return content.cast(schema)


def _text_bytes(column: pa.DictionaryArray) -> int:
    """Total size of a text column in bytes, repeated values included."""
    return pc.sum(pc.take(pc.binary_length(column.dictionary), column.indices)).as_py() or 0
