"""How an artifact reaches the disk.

Whole under its final name, or not at all, and with the same bytes each time.
"""

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ifmmin.errors import UserError, one_line


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
        The path to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
    """Read a parquet and check that it has the columns of its schema, in type and order.

    Args:
        path: the file.
        schema: what it has to be, or what gives that for the names of its columns.

    Returns:
        The table, and the text metadata of the file.

    Raises:
        ArtifactError: if it is no parquet, or its columns differ.
        FileNotFoundError: if there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    try:
        content = pq.read_table(path, memory_map=False)
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(
            f"{path}: not a readable parquet file ({one_line(error)}). Rerun the stage that writes it."
        ) from error
    expected = schema if isinstance(schema, pa.Schema) else schema(content.schema.names)
    if not content.schema.equals(expected, check_metadata=False):
        raise ArtifactError(
            f"{path}: columns are {content.schema.names}; expected {expected.names}, "
            "with the types of its specification. Rerun the stage that writes it."
        )
    metadata = {k.decode(): v.decode() for k, v in (content.schema.metadata or {}).items()}
    return content.replace_schema_metadata(None).to_pandas(), metadata
