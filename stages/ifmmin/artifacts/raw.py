"""The corpus pack as published (MMIN layout). Read by ingest; written by synthesize. Immutable.

    A/comparE.h5             one data set per utterance id: acoustic frames [T, D_a]
    V/denseface.h5           the same for visual frames [T, D_v]; trailing all-zero rows are padding
    L/bert_large.h5          the same for word embeddings [T, D_t]; trailing all-zero rows are padding
    target/<fold>/<split>_int2name.npy   ids, bytes or text, [N] or [N, 1]; split is trn, val or tst
    target/<fold>/<split>_label.npy      one-hot labels [N, classes], row by row those of the ids
    pack.json                optional: {"name": ..., "classes": [...], "synthetic": true}

A pack is somebody else's data: nothing in it is executed (no pickles) or followed (no links to other files),
and ids are compared with names, never joined to paths. All its faults are collected and reported at once.

Source: released code, data/multimodal_miss_dataset.py, and the pack that the MMIN authors published.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ifmmin.files import ArtifactError, whole, write_json
from ifmmin.identifiers import is_iemocap
from ifmmin.terms import MODALITIES, ROLES

FILES = {"a": "A/comparE.h5", "v": "V/denseface.h5", "t": "L/bert_large.h5"}
SPLITS = dict(zip(("trn", "val", "tst"), ROLES, strict=True))
PADDED = ("v", "t")

IEMOCAP_CLASSES = ("angry", "happy", "neutral", "sad")
"""The pack's column order, by the class totals of IEMOCAP (1103, 1636, 1708, 1084).

The released draw.py has another.
"""


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


@dataclass
class _Targets:
    """Targets while they are being read, with the faults found so far."""

    labels: dict[str, int] = field(default_factory=dict)
    folds: dict[int, dict[str, list[str]]] = field(default_factory=dict)
    widths: Counter[int] = field(default_factory=Counter)
    first_of_width: dict[int, Path] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read_description(folder: Path, ids: list[str], n_classes: int) -> dict[str, Any]:
    """Say what the corpus is called, what its classes are called, and whether it was generated.

    Raises:
        ArtifactError: if pack.json is there and is not what the layout says.
    """
    path = folder / "pack.json"
    iemocap = is_iemocap(ids) and n_classes == len(IEMOCAP_CLASSES)
    classes = list(IEMOCAP_CLASSES) if iemocap else [f"class_{k}" for k in range(n_classes)]
    description: dict[str, Any] = {
        "name": "IEMOCAP" if iemocap else folder.resolve().name,
        "classes": classes,
        "synthetic": False,
    }
    if not path.exists():
        return description
    try:
        stated = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise ArtifactError(
            f"{path}: not readable as JSON ({error}). Mend it or take it away; it is optional."
        ) from error
    kinds = {"name": str, "classes": list, "synthetic": bool}
    if not isinstance(stated, dict) or any(
        k not in kinds or not isinstance(v, kinds[k]) for k, v in stated.items()
    ):
        raise ArtifactError(
            f"{path}: expected name (text), classes (list) and synthetic (true or false), and no other key."
        )
    description |= stated
    names = description["classes"]
    if len(names) != n_classes or len(set(map(str, names))) != n_classes or not all(_plain(n) for n in names):
        raise ArtifactError(
            f"{path}: classes are {names!r}; expected {n_classes} different names of letters, digits, "
            "space, - or _, in the column order of the labels."
        )
    return description


def _plain(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[\w -]{1,40}", name) is not None


def read_targets(folder: Path) -> tuple[Targets, list[str]]:
    """Read labels and folds from every numbered folder under target/.

    Returns:
        The targets, and one sentence for each fault found. With faults, the targets are not to be used.
    """
    found = _Targets()
    root = folder / "target"
    numbers = (
        sorted(int(d.name) for d in root.iterdir() if d.is_dir() and d.name.isdecimal())
        if root.is_dir()
        else []
    )
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
    if len(found.widths) > 1:
        common = found.widths.most_common(1)[0][0]
        found.faults += [
            f"{path}: labels have {width} columns; the other splits have {common}."
            for width, path in found.first_of_width.items()
            if width != common
        ]
    width = found.widths.most_common(1)[0][0] if found.widths else 0
    return Targets(found.labels, found.folds, width), found.faults


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
    except (ValueError, OSError, EOFError, MemoryError, SyntaxError) as error:
        found.faults.append(f"{path}: not a readable .npy array without pickled objects ({_line(error)}).")
        return None
    if not isinstance(array, np.ndarray):
        found.faults.append(f"{path}: an archive of arrays; expected one .npy array.")
        return None
    return array


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:160].rstrip(".")


def _read_split(folder: Path, split: str, found: _Targets) -> list[str]:
    """Read the ids and labels of one split, note their faults, and enter the labels."""
    ids = _read_ids(folder / f"{split}_int2name.npy", found)
    path = folder / f"{split}_label.npy"
    classes = _read_one_hot(path, found)
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
        or array.ndim > 2
        or (array.ndim == 2 and array.shape[1] != 1)
        or array.ndim == 0
    ):
        found.faults.append(
            f"{path}: {array.dtype} of shape {list(array.shape)}; "
            "expected ids as bytes or text, [N] or [N, 1]."
        )
        return None
    ids = []
    for row in array.reshape(-1).tolist():
        try:
            ids.append(row.decode("utf-8") if isinstance(row, bytes) else row)
        except UnicodeDecodeError:
            found.faults.append(f"{path}: id {row!r} is no UTF-8 text.")
            return None
    if "" in ids:
        found.faults.append(f"{path}: row {ids.index('')} has an empty id.")
    found.faults += [
        f"{path}: utterance {name!r} stands there {count} times; expected once."
        for name, count in Counter(ids).items()
        if count > 1
    ]
    return ids


def _read_one_hot(path: Path, found: _Targets) -> list[int | None] | None:
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
        found.widths[array.shape[1]] += 1
        found.first_of_width.setdefault(array.shape[1], path)
    good = ((array == 0) | (array == 1)).all(1) & ((array == 1).sum(1) == 1)
    found.faults += [
        f"{path}: row {row} is {array[row].tolist()}; expected one 1 and else 0."
        for row in np.flatnonzero(~good)
    ]
    return [int(k) if ok else None for k, ok in zip((array == 1).argmax(1), good, strict=True)]


def read_frames(folder: Path, modality: str, ids: list[str]) -> tuple[list[NDArray[np.float32]], list[str]]:
    """Read the frames of the named utterances; extra utterances in the file are left alone.

    Returns:
        One array [T, D] float32 for each id, trailing all-zero rows of v and t cut off (one row is kept), and
        one sentence for each fault found. With faults, the arrays are not to be used.
    """
    path = folder / FILES[modality]
    if not path.is_file():
        return [], [
            f"{path}: no such file; expected the {modality} features of the pack, one data set per utterance."
        ]
    try:
        with h5py.File(path, "r") as file:
            return _read_all(file, path, modality, ids)
    except OSError as error:
        return [], [f"{path}: not a readable HDF5 file ({_line(error)}). Fetch it again."]


def _read_all(
    file: h5py.File, path: Path, modality: str, ids: list[str]
) -> tuple[list[NDArray[np.float32]], list[str]]:
    names = set(file.keys())
    arrays, faults = [], []
    for utterance_id in ids:
        try:
            if utterance_id not in names:
                raise ArtifactError(f"is missing; the targets name it. Expected frames in {FILES[modality]}")
            arrays.append(_trimmed(_read_one(file, utterance_id), modality in PADDED))
        except (ArtifactError, OSError, MemoryError, TypeError, ValueError, RuntimeError, KeyError) as error:
            faults.append(f"{path}: utterance {utterance_id!r} {_line(error)}.")
    widths = Counter(x.shape[1] for x in arrays)
    if len(widths) > 1 and not faults:
        common = widths.most_common(1)[0][0]
        faults += [
            f"{path}: utterance {utterance_id!r} has {x.shape[1]} columns; the others have {common}."
            for utterance_id, x in zip(ids, arrays, strict=True)
            if x.shape[1] != common
        ]
    return arrays, faults


def _read_one(file: h5py.File, utterance_id: str) -> NDArray[np.float32]:
    """Read one data set, which must lie in this very file and hold finite numbers [T, D]."""
    if not isinstance(file.get(utterance_id, getlink=True), h5py.HardLink):
        raise ArtifactError("is a link; links are not followed. Expected a data set in the file itself")
    data = file[utterance_id]
    if not isinstance(data, h5py.Dataset):
        raise ArtifactError("is a group; expected a data set [T, D]")
    if data.external or data.is_virtual:
        raise ArtifactError("keeps its values in another file; expected them in this one")
    if data.dtype.kind not in "fiu":
        raise ArtifactError(f"has type {data.dtype}; expected numbers")
    if data.ndim != 2 or 0 in data.shape:
        raise ArtifactError(
            f"has shape {list(data.shape)}; expected [T, D] with at least one frame and one column"
        )
    values = data[()]
    with np.errstate(over="ignore"):
        frames: NDArray[np.float32] = values.astype(np.float32)
    bad = ~np.isfinite(frames)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ArtifactError(
            f"has {int(bad.sum())} values that are not finite in float32, first {values[row, column]} "
            f"in frame {row}, column {column}; expected finite numbers"
        )
    return frames


def _trimmed(frames: NDArray[np.float32], padded: bool) -> NDArray[np.float32]:
    if not padded:
        return frames
    filled = np.flatnonzero(frames.any(1))
    return frames[: filled[-1] + 1 if len(filled) else 1]


def write(
    folder: Path,
    frames: Mapping[str, Callable[[], Iterator[tuple[str, NDArray[Any]]]]],
    targets: Targets,
    description: Mapping[str, Any],
) -> None:
    """Write a pack in the published layout.

    Args:
        folder: where to; made where it is missing.
        frames: for each modality, what yields (utterance id, frames [T, D]).
        targets: labels and folds.
        description: the content of pack.json.
    """
    for m in MODALITIES:
        with whole(folder / FILES[m]) as temporary, h5py.File(temporary, "w") as file:
            for utterance_id, x in frames[m]():
                file.create_dataset(utterance_id, data=x, track_times=False)
    one_hot = np.eye(targets.n_classes, dtype=np.int64)
    for number, roles in targets.folds.items():
        for split, role in SPLITS.items():
            ids = roles[role]
            for name, array in (
                ("int2name", np.array(ids, dtype=bytes)[:, None]),
                ("label", one_hot[[targets.labels[i] for i in ids]]),
            ):
                with (
                    whole(folder / "target" / str(number) / f"{split}_{name}.npy") as temporary,
                    temporary.open("wb") as file,
                ):
                    np.save(file, array, allow_pickle=False)
    write_json(folder / "pack.json", description)
