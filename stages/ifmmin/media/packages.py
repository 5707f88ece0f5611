"""The packages of requirements-media.txt: nothing but this room imports them, and only when it is used."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ifmmin.errors import UserError


@contextmanager
def needed() -> Iterator[None]:
    """Say in one sentence which package is missing where an import in the block fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"recordings need {error.name}; expected the packages of requirements-media.txt. "
            "Run pip install --no-deps -r requirements-media.txt."
        ) from error


def digest(paths: Iterable[Path]) -> str:
    """Name weights by their content: 12 hexadecimal digits of the SHA-256 over files, end to end."""
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                found.update(part)
    return found.hexdigest()[:12]
