"""Labels and folds of a feature pack in the published layout (MMIN).

    target/<fold>/<split>_int2name.npy   ids, bytes or text, [N] or [N, 1]; split is trn, val or tst
    target/<fold>/<split>_label.npy      one-hot labels [N, classes], in the order of the ids

The stage ingest reads these files; the stage synthesize writes them. Arrays are loaded without pickle. All
errors are collected and reported together.

Source: released code, data/multimodal_miss_dataset.py, and the pack that the MMIN authors published.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ifmmin.core.errors import one_line
from ifmmin.core.files import atomic_write
from ifmmin.core.terms import ROLES

SPLITS = dict(zip(("trn", "val", "tst"), ROLES, strict=True))


@dataclass(frozen=True)
class Targets:
    """Labels and folds of the target files.

    Attributes:
        labels: class index by utterance id.
        folds: fold to role to utterance ids, in file order.
        n_classes: width of the one-hot labels.
    """

    labels: dict[str, int]
    folds: dict[int, dict[str, list[str]]]
    n_classes: int

    @property
    def ids(self) -> set[str]:
        """All utterances of the folds."""
        return {
            utterance_id for roles in self.folds.values() for ids in roles.values() for utterance_id in ids
        }


@dataclass
class _Reading:
    """Targets read so far, with the width of each label file and the errors."""

    labels: dict[str, int] = field(default_factory=dict)
    folds: dict[int, dict[str, list[str]]] = field(default_factory=dict)
    widths: dict[Path, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read(folder: Path) -> tuple[Targets, list[str]]:
    """Read labels and folds from every numbered folder under target/.

    Returns:
        The targets, and one message per error. With errors, the targets are invalid.
    """
    reading = _Reading()
    root = folder / "target"
    numbers = (
        sorted(int(d.name) for d in root.iterdir() if d.is_dir() and re.fullmatch(r"[1-9]\d{0,5}", d.name))
        if root.is_dir()
        else []
    )
    reading.faults += [
        f"{d}: invalid fold name {d.name!r}; expected {int(d.name)}. Rename the folder."
        for d in (sorted(root.iterdir()) if root.is_dir() else [])
        if d.is_dir() and d.name.isdecimal() and int(d.name) not in numbers
    ]
    if not numbers:
        reading.faults.append(
            f"{root}: no fold folder; expected {root}/1, {root}/2, ... "
            "with trn_label.npy and the other five files. Check the path."
        )
    for number in numbers:
        reading.folds[number] = {
            role: _read_split(root / str(number), split, reading) for split, role in SPLITS.items()
        }
        _check_fold(root / str(number), reading.folds[number], reading)
    (n_classes, _), *_ = Counter(reading.widths.values()).most_common(1) or [(0, 0)]
    reading.faults += [
        f"{path}: labels have {width} columns; expected {n_classes}, as in the other splits."
        for path, width in reading.widths.items()
        if width != n_classes
    ]
    return Targets(reading.labels, reading.folds, n_classes), reading.faults


def _check_fold(folder: Path, roles: Mapping[str, list[str]], reading: _Reading) -> None:
    """Report utterances that are in two splits of a fold."""
    split_names = {role: split for split, role in SPLITS.items()}
    seen: dict[str, str] = {}
    for role, ids in roles.items():
        for utterance_id in dict.fromkeys(ids):
            if utterance_id in seen:
                reading.faults.append(
                    f"{folder}/{split_names[role]}_int2name.npy: utterance {utterance_id!r} is also in "
                    f"{split_names[seen[utterance_id]]} of this fold; expected one split."
                )
            seen.setdefault(utterance_id, role)


def _load(path: Path, reading: _Reading) -> NDArray[Any] | None:
    """Load an array without pickle. On failure, record an error and return None."""
    if not path.is_file():
        reading.faults.append(f"{path}: no such file; expected it in the folder of the fold.")
        return None
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # NumPy parses the header as Python and can raise any error
        reading.faults.append(
            f"{path}: not a readable .npy array without pickled objects ({one_line(error)})."
        )
        return None
    if not isinstance(array, np.ndarray):
        reading.faults.append(f"{path}: an archive of arrays; expected one .npy array.")
        return None
    return array


def _read_split(folder: Path, split: str, reading: _Reading) -> list[str]:
    """Read the ids and labels of one split, record errors, and add the labels to the targets."""
    ids = _read_ids(folder / f"{split}_int2name.npy", reading)
    path = folder / f"{split}_label.npy"
    classes = _read_one_hot(path, ids or [], reading)
    if ids is None or classes is None:
        return ids or []
    if len(ids) != len(classes):
        reading.faults.append(
            f"{path}: {len(classes)} labels for {len(ids)} ids; expected one label for each id."
        )
        return ids
    if not ids:
        reading.faults.append(
            f"{folder}/{split}_int2name.npy: the split is empty; expected at least one utterance."
        )
    for utterance_id, label in zip(ids, classes, strict=True):
        if label is not None and reading.labels.setdefault(utterance_id, label) != label:
            reading.faults.append(
                f"{path}: utterance {utterance_id!r} has class {label}, but "
                f"{reading.labels[utterance_id]} in another split or fold; expected one label per utterance."
            )
    return ids


def _read_ids(path: Path, reading: _Reading) -> list[str] | None:
    array = _load(path, reading)
    if array is None:
        return None
    if (
        array.dtype.kind not in "SU"
        or array.dtype.itemsize == 0  # a file of a few bytes could claim billions of them
        or array.ndim > 2
        or (array.ndim == 2 and array.shape[1] != 1)
        or array.ndim == 0
    ):
        reading.faults.append(
            f"{path}: {array.dtype} of shape {list(array.shape)}; "
            "expected ids as bytes or text, [N] or [N, 1]."
        )
        return None
    try:
        ids = [str(row, "utf-8") if isinstance(row, bytes) else row for row in array.reshape(-1).tolist()]
        "".join(ids).encode("utf-8")
    except (ValueError, SystemError) as error:  # NumPy raises SystemError for invalid characters
        reading.faults.append(f"{path}: an id is not UTF-8 text ({one_line(error)}).")
        return None
    if "" in ids:
        reading.faults.append(f"{path}: row {ids.index('')} has an empty id; expected text.")
    reading.faults += [
        f"{path}: utterance {name!r} is listed {count} times; expected once."
        for name, count in Counter(ids).items()
        if count > 1
    ]
    return ids


def _read_one_hot(path: Path, ids: list[str], reading: _Reading) -> list[int | None] | None:
    """Read class indices; None for a row that is not one-hot."""
    array = _load(path, reading)
    if array is None:
        return None
    if array.dtype.kind not in "iufb" or array.ndim != 2 or array.shape[1] < 2:
        reading.faults.append(
            f"{path}: {array.dtype} of shape {list(array.shape)}; expected one-hot numbers [N, classes], "
            "at least two classes."
        )
        return None
    if len(array):
        reading.widths[path] = array.shape[1]
    valid = ((array == 0) | (array == 1)).all(1) & ((array == 1).sum(1) == 1)
    reading.faults += [
        f"{path}: utterance {', '.join(map(repr, ids[row : row + 1])) or 'unknown'} (row {row}) has label "
        f"{array[row].tolist()}; expected one 1 and otherwise 0."
        for row in np.flatnonzero(~valid)
    ]
    return [int(k) if ok else None for k, ok in zip((array == 1).argmax(1), valid, strict=True)]


def write(folder: Path, targets: Targets) -> None:
    """Write labels and folds in the published layout."""
    one_hot = np.eye(targets.n_classes, dtype=np.int64)
    for number, roles in targets.folds.items():
        for split, role in SPLITS.items():
            ids = roles[role]
            labels = one_hot[[targets.labels[utterance_id] for utterance_id in ids]]
            for name, array in (("int2name", np.array(ids, dtype=bytes)[:, None]), ("label", labels)):
                path = folder / "target" / str(number) / f"{split}_{name}.npy"
                with atomic_write(path) as temporary, temporary.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
