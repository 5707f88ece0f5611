"""The features of a corpus pack, as published (MMIN layout); immutable.

    A/comparE.h5             one data set per utterance id: acoustic frames [T, D_a]
    V/denseface.h5           the same for visual frames [T, D_v]; trailing all-zero rows are padding
    L/bert_large.h5          the same for word embeddings [T, D_t]; trailing all-zero rows are padding
    pack.json                optional: {"name": ..., "classes": [...], "synthetic": true, "extractors": {...}}
    target/                  labels and folds, see raw_targets

extractors names, by modality, what made the frames. Read by ingest; written by synthesize and extract.
A pack is somebody else's data: nothing in it is executed or followed (no links inside a file),
and ids are compared with names, never joined to paths. All faults are collected and reported at once.

Reading takes at most 1 GiB of memory, and 128 bytes for each byte of the file
(tests/artifacts/test_hostile.py).

Source: released code, data/multimodal_miss_dataset.py, and the pack that the MMIN authors published.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ifmmin import hdf5
from ifmmin.errors import UserError, one_line
from ifmmin.files import ArtifactError, read_json, whole, write_json
from ifmmin.identifiers import is_iemocap
from ifmmin.terms import MODALITIES

FILES = {"a": "A/comparE.h5", "v": "V/denseface.h5", "t": "L/bert_large.h5"}
PADDED = ("v", "t")

IEMOCAP_CLASSES = ("angry", "happy", "neutral", "sad")
"""The pack's column order, by the class totals of IEMOCAP (1103, 1636, 1708, 1084).

The released draw.py has another.
"""


def read_description(folder: Path, ids: list[str], n_classes: int) -> tuple[dict[str, Any], list[str]]:
    """Say what the corpus is called, what its classes are called, and whether it was generated.

    Returns:
        name, classes, synthetic, iemocap (whether the ids are IEMOCAP's) and, where stated, extractors; and
        one sentence for each fault.
    """
    iemocap = is_iemocap(ids)
    named = iemocap and n_classes == len(IEMOCAP_CLASSES)
    description: dict[str, Any] = {
        "name": "IEMOCAP" if iemocap else folder.resolve().name,
        "classes": list(IEMOCAP_CLASSES) if named else [f"class_{k}" for k in range(n_classes)],
        "synthetic": False,
        "iemocap": iemocap,
    }
    path = folder / "pack.json"
    if not path.exists():
        return description, []
    try:
        stated = _stated(path)
    except (ArtifactError, OSError) as error:
        return description, [str(error)]
    names = stated.get("classes", description["classes"])
    if not n_classes:
        return description, []
    if len(names) != n_classes or not all(map(_plain, names)) or len(set(names)) != n_classes:
        return description, [
            f"{path}: classes are {names!r}; expected {n_classes} different names of letters, digits, "
            "space, - or _, in the column order of the labels."
        ]
    return description | stated, []


def _stated(path: Path) -> dict[str, Any]:
    """Read pack.json and check all but the number and the names of the classes."""
    if not path.is_file():
        raise ArtifactError(f"{path}: is no file; expected a JSON object. Take it away: it is optional.")
    stated = read_json(path, "Mend it or take it away: it is optional.")
    kinds = {"name": str, "classes": list, "synthetic": bool, "extractors": dict}
    if any(k not in kinds or not isinstance(v, kinds[k]) for k, v in stated.items()):
        raise ArtifactError(
            f"{path}: holds {sorted(stated)}; expected name (text), classes (list), synthetic "
            "(true or false) and extractors (object), and no other key."
        )
    extractors = stated.get("extractors", {})
    if not all(m in MODALITIES and _is_text(name) for m, name in extractors.items()):
        raise ArtifactError(f"{path}: extractors are {extractors!r}; expected text for each of a, v, t.")
    if not _is_text(stated.get("name", "")):
        raise ArtifactError(f"{path}: name is {stated['name']!r}; expected text.")
    return stated


def _is_text(value: object) -> bool:
    """Tell text from what is none, and from what cannot be written: JSON can name half a character."""
    return isinstance(value, str) and value == value.encode("utf-8", "ignore").decode("utf-8")


def _plain(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[\w -]{1,40}", name) is not None


def read_frames(folder: Path, modality: str, ids: list[str]) -> tuple[list[NDArray[np.float32]], list[str]]:
    """Read the frames of the named utterances; extra utterances in the file are left alone.

    Returns:
        One array [T, D] float32 for each id, trailing all-zero rows of v and t cut off; of an all-zero
        sequence, whose modality is missing, one row is kept. And one sentence for each fault found. With
        faults, the arrays are not to be used.
    """
    path = folder / FILES[modality]
    try:
        with _opened(path, modality) as file:
            return _read_all(file, path, modality, ids, _names(file, path))
    except ArtifactError as error:
        return [], [str(error)]


def _opened(path: Path, modality: str) -> h5py.File:
    if not path.is_file():
        raise ArtifactError(
            f"{path}: no such file; expected the {modality} features of the pack, one data set per utterance."
        )
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ArtifactError(
            f"{path}: not a readable HDF5 file ({one_line(error)}). Fetch it again."
        ) from error


def _names(file: h5py.File, path: Path) -> dict[str, bool]:
    try:
        return hdf5.listed(file)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ArtifactError(f"{path}: lists no data sets ({one_line(error)}). Fetch it again.") from error


def locate(given: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Find the files that a user names: one pack, or m=FILE for each modality m that is there.

    Returns:
        Modality to file, and what the pack says of what made its frames.

    Raises:
        ArtifactError: if there is nothing of the kind, or pack.json is not what this module says.
    """
    named = [text.partition("=") for text in given]
    if all(m in MODALITIES and equals and path for m, equals, path in named):
        return {m: Path(path) for m, _, path in named}, {}
    folder = Path(given[0])
    files = {m: folder / name for m, name in FILES.items() if (folder / name).is_file()}
    if len(given) > 1 or not files:
        raise ArtifactError(
            f"{' '.join(given)}: neither a pack nor files; expected a folder with one of "
            f"{', '.join(FILES.values())}, or a=FILE, v=FILE, t=FILE. Check the path."
        )
    about = folder / "pack.json"
    return files, _stated(about).get("extractors", {}) if about.exists() else {}


def read_some(files: Mapping[str, Path], at_once: int) -> Iterator[dict[str, dict[str, NDArray[np.float32]]]]:
    """Read the frames of all utterances, in whatever modalities each has, some utterances at a time.

    Args:
        files: modality to its HDF5 file, which is there.
        at_once: utterances to a batch, in the order of their ids.

    Yields:
        For each modality a, v, t: utterance id to frames [T, D] float32, as in `read_frames`.

    Raises:
        ArtifactError: if a file is no HDF5 file, or a data set in it holds no frames; a sentence each.
    """
    with ExitStack() as stack:
        opened = {m: stack.enter_context(_opened(path, m)) for m, path in files.items()}
        names = {m: _names(file, files[m]) for m, file in opened.items()}
        ids = sorted(set().union(*names.values()))
        if not ids:
            where = ", ".join(map(str, files.values()))
            raise ArtifactError(f"{where}: no utterance; expected one data set for each. Name another.")
        for first in range(0, len(ids), at_once):
            some, faults = ids[first : first + at_once], []
            frames: dict[str, dict[str, NDArray[np.float32]]] = {m: {} for m in MODALITIES}
            for m, file in opened.items():
                has = [utterance_id for utterance_id in some if utterance_id in names[m]]
                arrays, found = _read_all(file, files[m], m, has, names[m])
                frames[m] = dict(zip(has, arrays, strict=False))
                faults += found
            if faults:
                raise ArtifactError("\n".join(faults))
            yield frames


def _read_all(
    file: h5py.File, path: Path, modality: str, ids: Sequence[str], names: Mapping[str, bool]
) -> tuple[list[NDArray[np.float32]], list[str]]:
    arrays: dict[str, NDArray[np.float32]] = {}
    faults = []
    left = hdf5.SLACK + hdf5.CLAIM * path.stat().st_size
    for utterance_id in ids:
        try:
            if utterance_id not in names:
                raise ArtifactError(f"is missing; the targets name it. Expected frames in {FILES[modality]}")
            x, claim = hdf5.frames(file, utterance_id, names[utterance_id], left)
            left -= claim
            arrays[utterance_id] = _trimmed(x, modality in PADDED)
        except (UserError, OSError, MemoryError, TypeError, ValueError, RuntimeError, KeyError) as error:
            faults.append(f"{path}: utterance {utterance_id!r} {one_line(error)}.")
    width = Counter(x.shape[1] for x in arrays.values()).most_common(1)
    faults += [
        f"{path}: utterance {utterance_id!r} has {x.shape[1]} columns; the others have {width[0][0]}."
        for utterance_id, x in arrays.items()
        if x.shape[1] != width[0][0]
    ]
    return list(arrays.values()), faults


def _trimmed(frames: NDArray[np.float32], padded: bool) -> NDArray[np.float32]:
    if frames[-1].any():
        return frames
    filled = np.flatnonzero(frames.any(1))
    if len(filled) and not padded:
        return frames
    return frames[: filled[-1] + 1 if len(filled) else 1].copy()  # the padding goes


def write(
    folder: Path,
    frames: Mapping[str, Callable[[], Iterator[tuple[str, NDArray[Any]]]]],
    description: Mapping[str, Any],
) -> None:
    """Write features in the published layout.

    Args:
        folder: where to; made where it is missing.
        frames: for each modality that there is, what yields (utterance id, frames [T, D]).
        description: the content of pack.json.
    """
    for m, utterances in frames.items():
        with whole(folder / FILES[m]) as temporary, h5py.File(temporary, "w") as file:
            for utterance_id, x in utterances():
                file.create_dataset(utterance_id, data=x, track_times=False)
    write_json(folder / "pack.json", description)
