"""Checkpoints of an unfinished training run.

    checkpoints/<name>.pt   {"key": text, "state": see ifmmin.training.state}, written by torch.save

The stages pretrain and train write a checkpoint after each epoch. A stage that runs again resumes from it,
and removes it after writing its artifacts. DVC does not track checkpoints. The key is a digest of everything
that determines the run: inputs, code, versions, processor, device, precision and seed. If the key differs,
training starts from the beginning.
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
"""Files of at least this many bytes are identified by size and modification time; hashing takes seconds."""

log = logging.getLogger(__name__)


class Checkpoint:
    """The checkpoint of one stage."""

    def __init__(self, name: str, inputs: Mapping[str, Any]) -> None:
        """Set the file name and compute the key. No checkpoint is read or written yet.

        Args:
            name: name of the run, unique among concurrent runs.
            inputs: everything that determines the run, by name; a path stands for the content of the file or
                folder. The code is added.

        Raises:
            FileNotFoundError: if an input path does not exist.
        """
        self.path, self._part = FOLDER / f"{name}.pt", FOLDER / f"{name}.part"
        self.key = _digest(
            {**inputs, "code": Path(__file__).parents[1], "stages": Path(__file__).parents[2] / "stages"}
        )

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None if there is none, its key differs or it is not readable."""
        if not self.path.is_file():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            key, state = content["key"], content["state"]
        except Exception as error:  # restarting is safe for any damage
            log.warning(
                "warning: %s: not readable (%s); training starts from the beginning.",
                self.path,
                type(error).__name__,
            )
            return None
        return state if key == self.key else None

    def save(self, state: Mapping[str, Any]) -> None:
        """Save a state, replacing the previous one atomically."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"key": self.key, "state": dict(state)}, self._part)
        self._part.replace(self.path)

    def remove(self) -> None:
        """Remove the checkpoint, after the artifacts are written."""
        self._part.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def _digest(inputs: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(inputs.items()):
        digest.update(f"\0{name}\0".encode())
        digest.update(_content(value) if isinstance(value, Path) else str(value).encode())
    return digest.hexdigest()


def _content(root: Path) -> bytes:
    """Digest of a file, or of all files in a folder."""
    if not root.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(root))
    digest = hashlib.sha256()
    files = sorted(path for path in root.rglob("*") if path.suffix != ".pyc") if root.is_dir() else [root]
    for path in filter(Path.is_file, files):
        stat = path.stat()
        large = stat.st_size >= LARGE
        digest.update(f"\0{path.relative_to(root.parent)}\0{stat.st_size}\0".encode())
        digest.update(str(stat.st_mtime_ns).encode() if large else path.read_bytes())
    return digest.digest()
