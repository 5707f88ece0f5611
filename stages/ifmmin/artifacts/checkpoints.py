"""The state of a training that has not ended.

    checkpoints/<name>.pt   {"key": text, "state": what ifmmin.training.progress says}, by torch.save

Written by pretrain and train after each epoch, read by the same stage when it runs again, and removed when
it has written its artifacts. DVC does not know of them. The key is a digest of everything that determines
the run: inputs, code, versions, processor, device, precision, seed; with another one a training starts anew.
"""

import errno
import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

FOLDER = Path("checkpoints")
LARGE = 1 << 24
"""Bytes from which a file counts by size and time of its last change: hashing all frames takes seconds."""

log = logging.getLogger(__name__)


class Checkpoint:
    """The checkpoint of one stage."""

    def __init__(self, name: str, given: Mapping[str, Any]) -> None:
        """Name it and compute its key; nothing is written or read yet.

        Args:
            name: of the stage, unlike that of all others that may run at once.
            given: what determines the run, by name; a path stands for what lies there. The code is added.
        """
        self.path, self._part = FOLDER / f"{name}.pt", FOLDER / f"{name}.part"
        self.key = _digest({**given, "code": Path(__file__).parents[2]})

    def load(self) -> dict[str, Any] | None:
        """The state that was kept under this key; None if there is none, or none that can be read."""
        if not self.path.is_file():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            found, state = content["key"], content["state"]
        except Exception as error:  # whatever broke it, training anew is right
            log.warning(
                "warning: %s: not readable (%s); training starts anew.", self.path, type(error).__name__
            )
            return None
        return state if found == self.key else None

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep a state in place of the one before; a kill in between leaves the one before."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"key": self.key, "state": dict(state)}, self._part)
        self._part.replace(self.path)

    def remove(self) -> None:
        """Remove what was kept: the training has ended and its artifacts are written."""
        self._part.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def _digest(given: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(given.items()):
        digest.update(f"\0{name}\0".encode())
        digest.update(_content(value) if isinstance(value, Path) else str(value).encode())
    return digest.hexdigest()


def _content(given: Path) -> bytes:
    """Digest of a file, or of all files of a folder."""
    if not given.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(given))
    digest = hashlib.sha256()
    files = sorted(path for path in given.rglob("*") if path.suffix != ".pyc") if given.is_dir() else [given]
    for path in filter(Path.is_file, files):
        about = path.stat()
        large = about.st_size >= LARGE
        digest.update(f"\0{path.relative_to(given.parent)}\0{about.st_size}\0".encode())
        digest.update(str(about.st_mtime_ns).encode() if large else path.read_bytes())
    return digest.digest()
