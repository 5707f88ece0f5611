"""Locks on files, which the kernel releases when those that hold them have ended, however they end."""

import fcntl
import json
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


def release(path: Path, mine: str) -> None:
    """Drop from DVC's record of who holds which path (`dvc.rwlock`) all whose command has `mine` in it.

    DVC writes the record in place: one that a kill cut off is of no use to anybody, and is removed.
    """
    try:
        held = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        path.unlink()
        return
    for paths in held.values():
        for of, by in list(paths.items()):
            others = [one for one in (by if isinstance(by, list) else [by]) if mine not in one["cmd"]]
            if not others:
                del paths[of]
            elif isinstance(by, list):
                by[:] = others
    part = path.with_suffix(".part")
    part.write_text(json.dumps(held), "utf-8")
    part.replace(path)
