"""Features of a feature pack in the published layout (MMIN).

    A/comparE.h5             one dataset per utterance id: acoustic frames [T, D_a]
    V/denseface.h5           the same for visual frames [T, D_v]; trailing all-zero rows are padding
    L/bert_large.h5          the same for word embeddings [T, D_t]; trailing all-zero rows are padding
    pack.json                optional: {"name": ..., "classes": [...], "synthetic": true, "extractors": {...}}
    target/                  labels and folds, see target_files.py

The key extractors maps a modality to the name of its feature extractor. The stage ingest reads a pack; the
stage synthesize and the command extract write one.

Packs are treated as untrusted input: content is never executed, links in HDF5 files are not followed, and ids
are never used as paths. All errors are collected and reported together. Reading takes at most 1 GiB of memory
plus 128 bytes for each byte of the file (tests/formats/test_hostile.py).

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

from ifmmin.core.errors import UserError, one_line
from ifmmin.core.files import ArtifactError, atomic_write, read_json, write_json
from ifmmin.core.terms import MODALITIES, PACK_FILES
from ifmmin.pack import hdf5
from ifmmin.pack.ids import is_iemocap

PADDED = ("v", "t")

IEMOCAP_CLASSES = ("angry", "happy", "neutral", "sad")
"""Class order of the published pack's labels.

Inferred from the class totals of IEMOCAP (1103, 1636, 1708, 1084). The released draw.py uses another order.
"""


def read_description(folder: Path, ids: list[str], n_classes: int) -> tuple[dict[str, Any], list[str]]:
    """Describe the corpus: name, class names, and whether it is synthetic. pack.json overrides the defaults.

    Args:
        folder: folder of the pack.
        ids: ids of all utterances.
        n_classes: number of classes.

    Returns:
        Mapping with name, classes, synthetic, iemocap (whether the ids are IEMOCAP's) and, if pack.json has
        it, extractors; and one message per error.
    """
    iemocap = is_iemocap(ids)
    has_iemocap_classes = iemocap and n_classes == len(IEMOCAP_CLASSES)
    description: dict[str, Any] = {
        "name": "IEMOCAP" if iemocap else folder.resolve().name,
        "classes": list(IEMOCAP_CLASSES) if has_iemocap_classes else [f"class_{k}" for k in range(n_classes)],
        "synthetic": False,
        "iemocap": iemocap,
    }
    path = folder / "pack.json"
    if not path.exists():
        return description, []
    try:
        content = _read_pack_json(path)
    except (ArtifactError, OSError) as error:
        return description, [str(error)]
    names = content.get("classes", description["classes"])
    if not n_classes:
        return description, []
    if len(names) != n_classes or not all(map(_is_plain_name, names)) or len(set(names)) != n_classes:
        return description, [
            f"{path}: classes are {names!r}; expected {n_classes} different names of letters, digits, "
            "space, - or _, in the column order of the labels."
        ]
    return description | content, []


def _read_pack_json(path: Path) -> dict[str, Any]:
    """Read pack.json and check all of it except the number and the names of the classes."""
    if not path.is_file():
        raise ArtifactError(f"{path}: not a file; expected a JSON file. Remove it; pack.json is optional.")
    content = read_json(path, "Correct or remove it; pack.json is optional.")
    kinds = {"name": str, "classes": list, "synthetic": bool, "extractors": dict}
    if any(k not in kinds or not isinstance(v, kinds[k]) for k, v in content.items()):
        raise ArtifactError(
            f"{path}: keys are {sorted(content)}; expected name (text), classes (list), synthetic "
            "(true or false) and extractors (object), and no other key."
        )
    extractors = content.get("extractors", {})
    if not all(m in MODALITIES and _is_text(name) for m, name in extractors.items()):
        raise ArtifactError(f"{path}: extractors are {extractors!r}; expected text for each of a, v, t.")
    if not _is_text(content.get("name", "")):
        raise ArtifactError(f"{path}: name is {content['name']!r}; expected text.")
    return content


def _is_text(value: object) -> bool:
    """Whether a value is text that UTF-8 can encode. JSON may hold unpaired surrogates, which it cannot."""
    return isinstance(value, str) and value == value.encode("utf-8", "ignore").decode("utf-8")


def _is_plain_name(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[\w -]{1,40}", name) is not None


def read_frames(folder: Path, modality: str, ids: list[str]) -> tuple[list[NDArray[np.float32]], list[str]]:
    """Read the frames of the given utterances. Other utterances in the file are ignored.

    Args:
        folder: folder of the pack.
        modality: a, v or t.
        ids: utterance ids.

    Returns:
        One array [T, D] float32 per id, without padding (see `trim_padding`), and one message per error. With
        errors, the arrays are invalid.
    """
    path = folder / PACK_FILES[modality]
    try:
        with _open(path, modality) as file:
            return _read_all(file, path, modality, ids, _names(file, path))
    except ArtifactError as error:
        return [], [str(error)]


def _open(path: Path, modality: str) -> h5py.File:
    if not path.is_file():
        raise ArtifactError(
            f"{path}: no such file; expected the {modality} features of the pack, one dataset per "
            "utterance. Check the path."
        )
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ArtifactError(
            f"{path}: not a readable HDF5 file ({one_line(error)}). Download it again."
        ) from error


def _names(file: h5py.File, path: Path) -> dict[str, bool]:
    try:
        return hdf5.list_datasets(file)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ArtifactError(
            f"{path}: cannot list its datasets ({one_line(error)}). Download it again."
        ) from error


def locate(arguments: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Find the feature files that the user passes.

    Args:
        arguments: the folder of one pack, or m=FILE for one or more modalities m.

    Returns:
        Modality to file, and modality to extractor name as in pack.json.

    Raises:
        ArtifactError: if the arguments are neither, or pack.json is invalid.
    """
    pairs = [text.partition("=") for text in arguments]
    if all(m in MODALITIES and equals and path for m, equals, path in pairs):
        return {m: Path(path) for m, _, path in pairs}, {}
    folder = Path(arguments[0])
    files = {m: folder / name for m, name in PACK_FILES.items() if (folder / name).is_file()}
    if len(arguments) > 1 or not files:
        raise ArtifactError(
            f"{' '.join(arguments)}: neither a feature pack nor files; expected a folder with one of "
            f"{', '.join(PACK_FILES.values())}, or a=FILE, v=FILE, t=FILE. Check the path."
        )
    path = folder / "pack.json"
    return files, _read_pack_json(path).get("extractors", {}) if path.exists() else {}


def read_batches(files: Mapping[str, Path], size: int) -> Iterator[dict[str, dict[str, NDArray[np.float32]]]]:
    """Read the frames of all utterances in batches. Each utterance may have any subset of the modalities.

    Args:
        files: modality to its HDF5 file.
        size: utterances per batch, in the order of their ids.

    Yields:
        For each modality a, v, t: utterance id to frames [T, D] float32, as in `read_frames`.

    Raises:
        ArtifactError: if a file is not HDF5 or a dataset is invalid; one line per error.
    """
    with ExitStack() as stack:
        opened = {m: stack.enter_context(_open(path, m)) for m, path in files.items()}
        names = {m: _names(file, files[m]) for m, file in opened.items()}
        ids = sorted(set().union(*names.values()))
        if not ids:
            where = ", ".join(map(str, files.values()))
            raise ArtifactError(
                f"{where}: no utterance; expected one dataset per utterance. Pass another file or pack."
            )
        for first in range(0, len(ids), size):
            batch, errors = ids[first : first + size], []
            frames: dict[str, dict[str, NDArray[np.float32]]] = {m: {} for m in MODALITIES}
            for m, file in opened.items():
                available = [utterance_id for utterance_id in batch if utterance_id in names[m]]
                arrays, faults = _read_all(file, files[m], m, available, names[m])
                frames[m] = dict(zip(available, arrays, strict=False))
                errors += faults
            if errors:
                raise ArtifactError("\n".join(errors))
            yield frames


def _read_all(
    file: h5py.File, path: Path, modality: str, ids: Sequence[str], names: Mapping[str, bool]
) -> tuple[list[NDArray[np.float32]], list[str]]:
    arrays: dict[str, NDArray[np.float32]] = {}
    faults = []
    budget = hdf5.SLACK + hdf5.BYTES_PER_BYTE * path.stat().st_size
    for utterance_id in ids:
        try:
            if utterance_id not in names:
                raise ArtifactError(
                    f"is missing; expected its frames, since the target files list it. Add it to "
                    f"{PACK_FILES[modality]} or remove it from target/"
                )
            x, size = hdf5.frames(file, utterance_id, names[utterance_id], budget)
            budget -= size
            arrays[utterance_id] = trim_padding(x, modality)
        except (UserError, OSError, MemoryError, TypeError, ValueError, RuntimeError, KeyError) as error:
            faults.append(f"{path}: utterance {utterance_id!r} {one_line(error)}.")
    width = Counter(x.shape[1] for x in arrays.values()).most_common(1)
    faults += [
        f"{path}: utterance {utterance_id!r} has {x.shape[1]} columns; expected {width[0][0]}, "
        "like the others."
        for utterance_id, x in arrays.items()
        if x.shape[1] != width[0][0]
    ]
    return list(arrays.values()), faults


def trim_padding(frames: NDArray[np.float32], modality: str) -> NDArray[np.float32]:
    """Remove trailing all-zero rows of visual and textual frames [T, D].

    An all-zero sequence of any modality, which means that the modality is missing, is cut to one row.
    """
    if frames[-1].any():
        return frames
    nonzero = np.flatnonzero(frames.any(1))
    if len(nonzero) and modality not in PADDED:
        return frames
    return frames[: nonzero[-1] + 1 if len(nonzero) else 1].copy()  # a copy, to free the padding


def write(
    folder: Path,
    frames: Mapping[str, Callable[[], Iterator[tuple[str, NDArray[Any]]]]],
    description: Mapping[str, Any],
) -> None:
    """Write features in the published layout.

    Args:
        folder: target folder; created if missing.
        frames: modality to a function that yields (utterance id, frames [T, D]).
        description: content of pack.json.
    """
    for m, utterances in frames.items():
        with atomic_write(folder / PACK_FILES[m]) as temporary, h5py.File(temporary, "w") as file:
            for utterance_id, x in utterances():
                file.create_dataset(utterance_id, data=x, track_times=False)
    write_json(folder / "pack.json", description)
