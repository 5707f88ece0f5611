"""The features of a corpus pack, as published (MMIN layout); immutable.

    A/comparE.h5             one data set per utterance id: acoustic frames [T, D_a]
    V/denseface.h5           the same for visual frames [T, D_v]; trailing all-zero rows are padding
    L/bert_large.h5          the same for word embeddings [T, D_t]; trailing all-zero rows are padding
    pack.json                optional: {"name": ..., "classes": [...], "synthetic": true, "extractors": {...}}
    target/                  labels and folds, see raw_targets

extractors names, by modality, what made the frames. Read by ingest; written by synthesize and extract.
A pack is somebody else's data: nothing in it is executed or followed (no links inside a file),
and ids are compared with names, never joined to paths. All faults are collected and reported at once.

What is read at once may claim SLACK bytes and CLAIM more for each byte of its file: room for padding packed
by gzip, none for a few bytes that claim terabytes. Reading takes at most 1 GiB of memory, and 128
bytes for each byte of the file (tests/artifacts/test_hostile.py).

Source: released code, data/multimodal_miss_dataset.py, and the pack that the MMIN authors published.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ifmmin.errors import one_line
from ifmmin.files import ArtifactError, read_json, whole, write_json
from ifmmin.identifiers import is_iemocap
from ifmmin.terms import MODALITIES

FILES = {"a": "A/comparE.h5", "v": "V/denseface.h5", "t": "L/bert_large.h5"}
PADDED = ("v", "t")
SLACK, CLAIM = 1 << 28, 32
CHUNK = 1 << 13
"""Bytes that a chunk claims at least: what HDF5 keeps of it in memory."""

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
        One array [T, D] float32 for each id, trailing all-zero rows of v and t cut off (one row is kept), and
        one sentence for each fault found. With faults, the arrays are not to be used.
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


def _names(file: h5py.File, path: Path) -> set[str]:
    try:
        return set(file.keys())
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
        ids = sorted(set().union(*names.values()), key=str)  # one that is no text is bytes
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
    file: h5py.File, path: Path, modality: str, ids: list[str], names: set[str]
) -> tuple[list[NDArray[np.float32]], list[str]]:
    arrays: dict[str, NDArray[np.float32]] = {}
    faults = []
    left = SLACK + CLAIM * path.stat().st_size
    for utterance_id in ids:
        try:
            if utterance_id not in names:
                raise ArtifactError(f"is missing; the targets name it. Expected frames in {FILES[modality]}")
            data = _data_set(file, utterance_id)
            left -= _claim(data, left)
            arrays[utterance_id] = _trimmed(_finite(data), modality in PADDED)
        except (ArtifactError, OSError, MemoryError, TypeError, ValueError, RuntimeError, KeyError) as error:
            faults.append(f"{path}: utterance {utterance_id!r} {one_line(error)}.")
    width = Counter(x.shape[1] for x in arrays.values()).most_common(1)
    faults += [
        f"{path}: utterance {utterance_id!r} has {x.shape[1]} columns; the others have {width[0][0]}."
        for utterance_id, x in arrays.items()
        if x.shape[1] != width[0][0]
    ]
    return list(arrays.values()), faults


def _data_set(file: h5py.File, utterance_id: str) -> h5py.Dataset:
    """Find one data set, which must lie in this very file, under this one name, and hold numbers [T, D]."""
    if not _is_text(utterance_id):
        raise ArtifactError("has no UTF-8 name")
    if not isinstance(file.get(utterance_id, getlink=True), h5py.HardLink):
        raise ArtifactError("is a link; links are not followed. Expected a data set in the file itself")
    data = file[utterance_id]
    if not isinstance(data, h5py.Dataset):
        raise ArtifactError("is a group; expected a data set [T, D]")
    if h5py.h5o.get_info(data.id).rc > 1:
        raise ArtifactError("shares its data set with another name; expected one of its own")
    if data.external or data.is_virtual:
        raise ArtifactError("keeps its values in another file; expected them in this one")
    if data.dtype.kind not in "fiu":
        raise ArtifactError(f"has type {data.dtype}; expected numbers")
    if data.ndim != 2 or 0 in data.shape:
        raise ArtifactError(
            f"has shape {list(data.shape)}; expected [T, D] with at least one frame and one column"
        )
    return data


def _claim(data: h5py.Dataset, left: int) -> int:
    """Bytes that reading a data set takes, which must not be more than are left."""
    size = max(4, data.dtype.itemsize)  # float32 is what comes of it
    claim: int = math.prod(data.shape) * size
    if data.chunks:
        chunk = math.prod(data.chunks) * size
        number = math.prod(-(-n // c) for n, c in zip(data.shape, data.chunks, strict=True))
        claim = number * max(chunk, CHUNK)
    if claim > left:
        raise ArtifactError(
            f"has shape {list(data.shape)}, {claim} bytes to read; expected at most {left}, since what is "
            f"read of a file may take {SLACK}, and {CLAIM} for each byte of it"
        )
    _check_packing(data)
    return claim


def _check_packing(data: h5py.Dataset) -> None:
    """Refuse chunks that unpack to more than a chunk: HDF5 unpacks them whole, however much comes out."""
    settings = data.id.get_create_plist()
    filters = [settings.get_filter(n)[0] for n in range(settings.get_nfilters())]
    packers = [f for f in filters if f not in (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)]
    if not packers:
        return
    most = math.prod(data.chunks) * data.dtype.itemsize + 4  # its checksum may be packed with it
    if packers == [h5py.h5z.FILTER_LZF] and most < SLACK >> 6:  # it unpacks to < 100 times that
        if data.id.chunk_iter(lambda chunk: chunk.size > most or None):
            raise ArtifactError("has a chunk that lzf has made larger; fetch it again")
        return
    if packers != [h5py.h5z.FILTER_DEFLATE]:
        raise ArtifactError("is packed in another way than once by gzip or lzf; expected that, or no packing")
    plain = 1 << filters.index(h5py.h5z.FILTER_DEFLATE)

    def unpacks(chunk: h5py.h5d.StoreInfo) -> bool | None:
        packed = data.id.read_direct_chunk(chunk.chunk_offset)[1]
        try:
            return len(zlib.decompressobj().decompress(packed, most + 1)) > most or None
        except zlib.error:
            return None if chunk.filter_mask & plain else True

    if data.id.chunk_iter(unpacks):
        raise ArtifactError("has a chunk that gzip cannot unpack, or not within its size; fetch it again")


def _finite(data: h5py.Dataset) -> NDArray[np.float32]:
    """Read numbers, which must be finite."""
    values = data[()]
    with np.errstate(over="ignore"):
        frames: NDArray[np.float32] = values.astype(np.float32)
    bad = ~np.isfinite(frames)
    if bad.any():
        row, column = np.unravel_index(bad.argmax(), bad.shape)
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
