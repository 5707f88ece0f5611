"""Labels and folds of a corpus pack, as published (MMIN layout). Read by ingest; written by synthesize.

    target/<fold>/<split>_int2name.npy   ids, bytes or text, [N] or [N, 1]; split is trn, val or tst
    target/<fold>/<split>_label.npy      one-hot labels [N, classes], row by row those of the ids

Arrays are loaded without pickle. All faults are collected and reported at once.

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

from ifmmin.errors import one_line
from ifmmin.files import whole
from ifmmin.terms import ROLES

SPLITS = dict(zip(("trn", "val", "tst"), ROLES, strict=True))


@dataclass(frozen=True)
class Targets:
    """What the target files say.

    Attributes:
        labels: class index by utterance id.
        folds: fold to role to utterance ids, in the pack's order.
        n_classes: width of the one-hot labels.
    """

    labels: dict[str, int]
    folds: dict[int, dict[str, list[str]]]
    n_classes: int

    @property
    def ids(self) -> set[str]:
        """All utterances that the folds name."""
        return {
            utterance_id for roles in self.folds.values() for ids in roles.values() for utterance_id in ids
        }


@dataclass
class _Targets:
    """Targets while they are being read, with the faults found so far."""

    labels: dict[str, int] = field(default_factory=dict)
    folds: dict[int, dict[str, list[str]]] = field(default_factory=dict)
    widths: dict[Path, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read(folder: Path) -> tuple[Targets, list[str]]:
    """Read labels and folds from every numbered folder under target/.

    Returns:
        The targets, and one sentence for each fault found. With faults, the targets are not to be used.
    """
    found = _Targets()
    root = folder / "target"
    numbers = (
        sorted(int(d.name) for d in root.iterdir() if d.is_dir() and re.fullmatch(r"[1-9]\d{0,5}", d.name))
        if root.is_dir()
        else []
    )
    found.faults += [
        f"{d}: no fold is called {d.name!r}; expected {int(d.name)}. Rename the folder."
        for d in (sorted(root.iterdir()) if root.is_dir() else [])
        if d.is_dir() and d.name.isdecimal() and int(d.name) not in numbers
    ]
    if not numbers:
        found.faults.append(
            f"{root}: no fold folder; expected {root}/1, {root}/2, ... "
            "with trn_label.npy and the other five files."
        )
    for number in numbers:
        found.folds[number] = {
            role: _read_split(root / str(number), split, found) for split, role in SPLITS.items()
        }
        _check_fold(root / str(number), found.folds[number], found)
    (n_classes, _), *_ = Counter(found.widths.values()).most_common(1) or [(0, 0)]
    found.faults += [
        f"{path}: labels have {width} columns; the other splits have {n_classes}."
        for path, width in found.widths.items()
        if width != n_classes
    ]
    return Targets(found.labels, found.folds, n_classes), found.faults


def _check_fold(folder: Path, roles: Mapping[str, list[str]], found: _Targets) -> None:
    """Report utterances that stand in two splits of a fold."""
    names = {role: split for split, role in SPLITS.items()}
    seen: dict[str, str] = {}
    for role, ids in roles.items():
        for utterance_id in dict.fromkeys(ids):
            if utterance_id in seen:
                found.faults.append(
                    f"{folder}/{names[role]}_int2name.npy: utterance {utterance_id!r} stands in "
                    f"{names[seen[utterance_id]]} of this fold too; expected one split."
                )
            seen.setdefault(utterance_id, role)


def _load(path: Path, found: _Targets) -> NDArray[Any] | None:
    """Load an array without pickle; None, and a fault, where that fails."""
    if not path.is_file():
        found.faults.append(f"{path}: no such file; expected it beside the other splits of the fold.")
        return None
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # NumPy reads the header as Python, with all that may come of it
        found.faults.append(f"{path}: not a readable .npy array without pickled objects ({one_line(error)}).")
        return None
    if not isinstance(array, np.ndarray):
        found.faults.append(f"{path}: an archive of arrays; expected one .npy array.")
        return None
    return array


def _read_split(folder: Path, split: str, found: _Targets) -> list[str]:
    """Read the ids and labels of one split, note their faults, and enter the labels."""
    ids = _read_ids(folder / f"{split}_int2name.npy", found)
    path = folder / f"{split}_label.npy"
    classes = _read_one_hot(path, ids or [], found)
    if ids is None or classes is None:
        return ids or []
    if len(ids) != len(classes):
        found.faults.append(
            f"{path}: {len(classes)} labels for {len(ids)} ids; expected one label for each id."
        )
        return ids
    if not ids:
        found.faults.append(
            f"{folder}/{split}_int2name.npy: the split is empty; expected at least one utterance."
        )
    for utterance_id, label in zip(ids, classes, strict=True):
        if label is not None and found.labels.setdefault(utterance_id, label) != label:
            found.faults.append(
                f"{path}: utterance {utterance_id!r} has class {label}, elsewhere in the pack "
                f"{found.labels[utterance_id]}; expected one label for an utterance."
            )
    return ids


def _read_ids(path: Path, found: _Targets) -> list[str] | None:
    array = _load(path, found)
    if array is None:
        return None
    if (
        array.dtype.kind not in "SU"
        or array.dtype.itemsize == 0  # of those a billion take no byte
        or array.ndim > 2
        or (array.ndim == 2 and array.shape[1] != 1)
        or array.ndim == 0
    ):
        found.faults.append(
            f"{path}: {array.dtype} of shape {list(array.shape)}; "
            "expected ids as bytes or text, [N] or [N, 1]."
        )
        return None
    try:
        ids = [str(row, "utf-8") if isinstance(row, bytes) else row for row in array.reshape(-1).tolist()]
        "".join(ids).encode("utf-8")
    except (ValueError, SystemError) as error:  # NumPy has the latter for what is no character
        found.faults.append(f"{path}: an id is no UTF-8 text ({one_line(error)}).")
        return None
    if "" in ids:
        found.faults.append(f"{path}: row {ids.index('')} has an empty id.")
    found.faults += [
        f"{path}: utterance {name!r} stands there {count} times; expected once."
        for name, count in Counter(ids).items()
        if count > 1
    ]
    return ids


def _read_one_hot(path: Path, ids: list[str], found: _Targets) -> list[int | None] | None:
    """Read class indices; None for a row that is not one-hot."""
    array = _load(path, found)
    if array is None:
        return None
    if array.dtype.kind not in "iufb" or array.ndim != 2 or array.shape[1] < 2:
        found.faults.append(
            f"{path}: {array.dtype} of shape {list(array.shape)}; expected one-hot numbers [N, classes], "
            "at least two classes."
        )
        return None
    if len(array):
        found.widths[path] = array.shape[1]
    good = ((array == 0) | (array == 1)).all(1) & ((array == 1).sum(1) == 1)
    found.faults += [
        f"{path}: utterance {', '.join(map(repr, ids[row : row + 1])) or 'unknown'} (row {row}) has label "
        f"{array[row].tolist()}; expected one 1 and else 0."
        for row in np.flatnonzero(~good)
    ]
    return [int(k) if ok else None for k, ok in zip((array == 1).argmax(1), good, strict=True)]


def write(folder: Path, targets: Targets) -> None:
    """Write labels and folds in the published layout."""
    one_hot = np.eye(targets.n_classes, dtype=np.int64)
    for number, roles in targets.folds.items():
        for split, role in SPLITS.items():
            ids = roles[role]
            labels = one_hot[[targets.labels[utterance_id] for utterance_id in ids]]
            for name, array in (("int2name", np.array(ids, dtype=bytes)[:, None]), ("label", labels)):
                path = folder / "target" / str(number) / f"{split}_{name}.npy"
                with whole(path) as temporary, temporary.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
