"""How an artifact reaches the disk.

Whole under its final name, or not at all, and with the same bytes each time. And how it is read: nothing in
a file is executed, and a few bytes that claim terabytes are refused. Reading a JSON, a CSV or a parquet takes
at most 1 GiB of memory, and 128 bytes for each byte of the file (tests/artifacts/test_hostile.py).
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

from ifmmin.errors import UserError, one_line

SLACK, CLAIM = 1 << 28, 32
"""Bytes that the words of a parquet may take, and how many more for each byte of the file; an eighth of that
many values."""
COLUMNS = 1000
"""Most columns of a CSV."""
NUMBERS = (pa.float32(), pa.float64())
"""What may be missing, as NaN."""


class ArtifactError(UserError):
    """A file of the pipeline, or of the user's pack, is not what its specification says.

    One line for each fault.
    """


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside the target and move it there when the block ends without an error.

    Args:
        path: final path; its folder is made where it is missing.

    Yields:
        The path to write to. What a killed process left there is written over.

    Raises:
        OSError: with the final path, if the disk is full or may not be written.
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
def whole_folder(path: Path, *, over: bool) -> Iterator[Path]:
    """Give a folder beside the target, which takes its place when the block ends without an error.

    Args:
        path: final path; an empty folder may be there.
        over: whether a full one may be there too, which is replaced. Then what a killed process left beside
            it goes, but for an old target that had not been replaced: it comes back.

    Raises:
        ArtifactError: if somebody else writes there, or has written in the meantime.
    """
    path = path.resolve()
    temporary = path.with_name(f".writing-{path.name}")
    made, old = temporary / "new", temporary / "old"
    if over:
        _cleared(temporary, old, path)
    elif temporary.exists():
        raise ArtifactError(
            f"{temporary}: exists; another process writes there, or was killed. Wait for it, or take it away."
        )
    made.mkdir(parents=True)
    try:
        yield made
        if over and path.exists():
            path.rename(old)
        try:
            made.rename(path)
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error
    finally:
        _cleared(temporary, old, path)


def _cleared(temporary: Path, old: Path, path: Path) -> None:
    if old.exists() and not path.exists():
        old.rename(path)
    shutil.rmtree(temporary, ignore_errors=True)


def check_source(path: Path, found: Mapping[str, Any], expected: Mapping[str, object]) -> None:
    """See that a file is of the system, fold and seed that it is used for.

    Args:
        path: the file.
        found: what it says of itself.
        expected: what it must say, by key.

    Raises:
        ArtifactError: if it says something else, with every difference.
    """
    wrong = [key for key, value in expected.items() if found.get(key) != value]
    if wrong:
        theirs, ours = ({key: of.get(key) for key in wrong} for of in (found, expected))
        raise ArtifactError(
            f"{path}: holds {_listed(theirs)}; expected {_listed(ours)}. Name the file of that "
            f"{' and '.join(wrong)}, or rerun the stage that writes it."
        )


def _listed(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value!r}" for key, value in facts.items())


def read_json(path: Path, remedy: str = "Rerun the stage that writes it.") -> dict[str, Any]:
    """Read a JSON object; `remedy` ends the sentence where the file is none.

    Raises:
        ArtifactError: if the file is not one.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: not readable as JSON ({one_line(error)}). {remedy}") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: holds a {type(content).__name__}; expected a JSON object. {remedy}")
    return content


def write_json(path: Path, content: Mapping[str, Any], *, sort_keys: bool = True) -> None:
    """Write JSON with two spaces of indent and, unless the order is the reader's, sorted keys."""
    with whole(path) as temporary:
        temporary.write_text(
            json.dumps(content, indent=2, sort_keys=sort_keys, ensure_ascii=False) + "\n", "utf-8"
        )


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV without index; numbers in full precision, missing values empty."""
    with whole(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_csv(path: Path, remedy: str = "Rerun the stage that writes it.", **options: Any) -> pd.DataFrame:  # noqa: ANN401 - pandas has them typed
    """Read a CSV; `remedy` ends the sentence where the file is none, `options` are those of pandas.

    Raises:
        ArtifactError: if it is no CSV, or its rows have fewer or more cells than its head.
    """
    content = path.read_bytes()
    try:
        columns = len(next(csv.reader(io.StringIO(content.decode("utf-8"), newline="")), []))
        if columns > COLUMNS:
            raise ValueError(f"{columns} columns; expected at most {COLUMNS}")
        # A cell takes at least its comma: pandas would fill what is missing, terabytes of it.
        if columns * max(content.count(b"\n"), content.count(b"\r")) > len(content):
            raise ValueError("rows have fewer cells than the first")
        table: pd.DataFrame = pd.read_csv(io.BytesIO(content), **options)
        if not isinstance(table.index, pd.RangeIndex):
            raise ValueError("rows have more cells than the first")
    except (ValueError, OverflowError, csv.Error) as error:
        raise ArtifactError(f"{path}: not readable as CSV ({one_line(error)}). {remedy}") from error
    return table


def write_parquet(path: Path, table: pd.DataFrame, schema: pa.Schema) -> None:
    """Write a parquet whose bytes depend on the values alone.

    No index, no pandas metadata, no compression: the footer then names the pyarrow version and nothing else
    that moves.
    """
    content = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    with whole(path) as temporary:
        pq.write_table(content.replace_schema_metadata(schema.metadata), temporary, compression="none")


def read_parquet(
    path: Path, schema: pa.Schema | Callable[[list[str]], pa.Schema]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Read a parquet and check that it has the columns of its schema, in type and order, and no empty cell.

    Args:
        path: the file.
        schema: what it has to be, or what gives that for the names of its columns.

    Returns:
        The table, and the text metadata of the file.

    Raises:
        ArtifactError: if it is no parquet, is compressed, claims far more than it holds, or differs.
        FileNotFoundError: if there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    try:
        about = pq.read_metadata(path)
        found = about.schema.to_arrow_schema()
        expected = schema if isinstance(schema, pa.Schema) else schema(found.names)
        if len(set(found.names)) < len(found) or not found.equals(expected, check_metadata=False):
            raise ArtifactError(
                f"{path}: columns are {found.names}; expected {expected.names}, each once, "
                "with the types of its specification. Rerun the stage that writes it."
            )
        content = _decoded(path, about, expected)
        metadata = {k.decode(): v.decode() for k, v in (found.metadata or {}).items()}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"{path}: not a readable parquet file ({one_line(error)}). Rerun the stage that writes it."
        ) from error
    empty = [kind.name for kind in expected if content[kind.name].null_count and kind.type not in NUMBERS]
    if empty:
        raise ArtifactError(f"{path}: column {empty[0]!r} has empty cells. Rerun the stage that writes it.")
    return content.to_pandas(), metadata


def _decoded(path: Path, about: pq.FileMetaData, schema: pa.Schema) -> pa.Table:
    """Read the columns of a parquet, where a value or a word takes no byte for standing there once more."""
    most = SLACK + CLAIM * path.stat().st_size
    chunks = [
        about.row_group(i).column(k) for i in range(about.num_row_groups) for k in range(about.num_columns)
    ]
    if any(chunk.compression != "UNCOMPRESSED" for chunk in chunks):
        raise ArtifactError(f"{path}: is compressed; expected it as written. Rerun the stage that writes it.")
    words = [name for name, kind in zip(schema.names, schema.types, strict=True) if kind == pa.string()]
    claim = 8 * sum(chunk.num_values for chunk in chunks)
    if claim <= most:
        content = pq.ParquetFile(path, read_dictionary=words).read()
        content.validate(full=True)
        claim = sum(map(_length, (chunk for name in words for chunk in content[name].chunks)))
    if claim > most:
        raise ArtifactError(
            f"{path}: claims {claim} bytes; expected at most {most} of a file of this size. "
            "Rerun the stage that writes it."
        )
    return content.cast(schema)


def _length(words: pa.DictionaryArray) -> int:
    """Bytes of all words, each as often as it stands there."""
    return pc.sum(pc.take(pc.binary_length(words.dictionary), words.indices)).as_py() or 0
