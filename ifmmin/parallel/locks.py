"""File locks. The kernel releases them when the holding process ends, even if it was killed."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ifmmin.core.errors import UserError


@contextmanager
def driver_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a project's only driver.

    Raises:
        UserError: if another driver holds it.
    """
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                "another `ifmmin run` is already running in this project. Wait for it to end, or stop it."
            ) from None
        yield


def free(path: Path) -> bool:
    """Return whether no process holds the lock of a file."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def release(path: Path, mine: str) -> None:
    """Remove the entries whose command contains `mine` from DVC's record of held paths (`dvc.rwlock`).

    DVC writes the record in place; a record truncated by a kill is deleted.
    """
    try:
        held = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        path.unlink()
        return
    for paths in held.values():
        for held_path, holders in list(paths.items()):
            entries = holders if isinstance(holders, list) else [holders]
            others = [entry for entry in entries if mine not in entry["cmd"]]
            if not others:
                del paths[held_path]
            elif isinstance(holders, list):
                holders[:] = others
    part = path.with_suffix(".part")
    part.write_text(json.dumps(held), "utf-8")
    part.replace(path)
