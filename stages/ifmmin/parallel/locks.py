"""Locks on files, which the kernel releases when those that hold them have ended, however they end."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ifmmin.errors import UserError


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Be the only driver of a project.

    Raises:
        UserError: if there is another one.
    """
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                "another stages/run.py runs in this project; expected none. Wait for it to end, or stop it."
            ) from None
        yield


def free(path: Path) -> bool:
    """Whether nobody holds the lock of a file."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
