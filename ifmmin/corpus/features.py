"""Features of the corpus: concatenated frames per modality, memory-mapped, shared by all folds.

    a.npy, v.npy, t.npy   [frames of all utterances, D] float32, unscaled, without padding; utterances in the
                          order of the index
    index.parquet         utterance_id, speaker: text; label: int64, class index; for each modality m:
                          m_offset, m_length: int64, first frame and number of frames. If a modality is
                          missing (all-zero sequence), the length is 0 and one frame is kept. Sorted by
                          utterance_id, the key.
    pack_folds.parquet    fold: int64; utterance_id, role: text. Folds of the pack's target files, unchanged.
    corpus.json           name; classes (in label order); synthetic; iemocap (whether the ids are IEMOCAP's)

Written by the stage ingest; read by split, pretrain, train and evaluate.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ifmmin.core.errors import one_line
from ifmmin.core.files import ArtifactError, atomic_write, read_json, read_parquet, write_json, write_parquet
from ifmmin.core.terms import MODALITIES

INDEX = pa.schema(
    [("utterance_id", pa.string()), ("speaker", pa.string()), ("label", pa.int64())]
    + [(f"{m}_{field}", pa.int64()) for m in MODALITIES for field in ("offset", "length")]
)
CORPUS = {"name": str, "classes": list, "synthetic": bool, "iemocap": bool}
PACK_FOLDS = pa.schema([("fold", pa.int64()), ("utterance_id", pa.string()), ("role", pa.string())])


class Features(NamedTuple):
    """The part of the corpus that training and evaluation read.

    Attributes:
        table: index.parquet.
        frames: modality to [frames, D] float32, mapped from disk (copy on write).
        classes: class names in label order.
    """

    table: pd.DataFrame
    frames: dict[str, NDArray[np.float32]]
    classes: list[str]


def write_frames(folder: Path, modality: str, arrays: list[NDArray[np.float32]]) -> None:
    """Write the concatenated frames of one modality.

    Args:
        folder: the features folder.
        modality: a, v or t.
        arrays: frames [T, D] float32 of each utterance, in the order of the index.
    """
    shape = (sum(len(x) for x in arrays), arrays[0].shape[1])
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    # A memory map would raise a signal, not an error, on a full disk.
    with atomic_write(folder / f"{modality}.npy") as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for x in arrays:
            file.write(np.ascontiguousarray(x, "<f4").data)


def write_tables(
    folder: Path, index: pd.DataFrame, pack_folds: pd.DataFrame, corpus: Mapping[str, Any]
) -> None:
    """Write the index, the pack's folds and the description of the corpus."""
    write_parquet(folder / "index.parquet", index, INDEX)
    write_parquet(folder / "pack_folds.parquet", pack_folds, PACK_FOLDS)
    write_json(folder / "corpus.json", corpus)


def read_index(folder: Path) -> pd.DataFrame:
    """Read the index.

    Raises:
        ArtifactError: if the file does not meet the specification above.
    """
    index, _ = read_parquet(folder / "index.parquet", INDEX)
    if not index["utterance_id"].is_unique:
        raise ArtifactError(
            f"{folder}/index.parquet: an utterance is listed twice; expected unique ids. Rerun ingest."
        )
    return index


def read_pack_folds(folder: Path) -> pd.DataFrame:
    """Read the folds of the pack's target files."""
    return read_parquet(folder / "pack_folds.parquet", PACK_FOLDS)[0]


def read_corpus(folder: Path) -> dict[str, Any]:
    """Read the description of the corpus.

    Raises:
        ArtifactError: if the file does not meet the specification above.
    """
    corpus = read_json(folder / "corpus.json", "Rerun ingest.")
    wrong = [key for key, kind in CORPUS.items() if not isinstance(corpus.get(key), kind)]
    if wrong or not all(isinstance(name, str) for name in corpus["classes"]):
        key = [*wrong, "classes"][0]
        expected = "a list of text" if key == "classes" else f"a {CORPUS[key].__name__}"
        raise ArtifactError(
            f"{folder}/corpus.json: {key} is {corpus.get(key)!r}; expected {expected}. Rerun ingest."
        )
    return corpus


def read_frames(folder: Path, modality: str) -> NDArray[np.float32]:
    """Memory-map the frames of one modality, [frames, D]; only accessed pages are loaded.

    Raises:
        ArtifactError: if the file is not a two-dimensional float32 array.
    """
    path = folder / f"{modality}.npy"
    try:
        frames: NDArray[np.float32] = np.lib.format.open_memmap(path, mode="c")
    except FileNotFoundError:
        raise
    except Exception as error:  # NumPy parses the header as Python and can raise any error
        raise ArtifactError(
            f"{path}: not a readable .npy array ({one_line(error)}). Rerun ingest."
        ) from error
    if frames.dtype != np.float32 or frames.ndim != 2:
        raise ArtifactError(
            f"{path}: {frames.dtype} of shape {list(frames.shape)}; expected float32 [frames, D]. "
            "Rerun ingest."
        )
    return frames


def read(folder: Path) -> Features:
    """Read the index, the frames and the class names.

    Raises:
        ArtifactError: if the index refers to frames or classes that do not exist.
    """
    index, classes = read_index(folder), read_corpus(folder)["classes"]
    frames = {m: read_frames(folder, m) for m in MODALITIES}
    within = index["label"].between(0, len(classes) - 1)
    for m in MODALITIES:
        offset, length = index[f"{m}_offset"], index[f"{m}_length"]
        within &= offset.between(0, len(frames[m]) - 1) & length.between(0, len(frames[m]) - offset)
    if not within.all():
        raise ArtifactError(
            f"{folder}/index.parquet: utterance {index['utterance_id'][~within].iloc[0]!r} refers to "
            "frames or a class that do not exist. Rerun ingest."
        )
    return Features(index, frames, classes)
