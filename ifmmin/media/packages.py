"""Optional packages (requirements-media.txt): only ifmmin.media imports them, and only on use."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ifmmin.core.errors import UserError


@contextmanager
def needed() -> Iterator[None]:
    """Convert a failed import in the context to a UserError that names the missing package."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"package {error.name} is not installed; feature extraction needs the packages of "
            "requirements-media.txt. Run pip install --no-deps -r requirements-media.txt."
        ) from error


def digest(paths: Iterable[Path]) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of the concatenated files."""
    sha256 = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                sha256.update(chunk)
    return sha256.hexdigest()[:12]
