"""A random corpus of IEMOCAP's size in the format of ingest and split, for speed measurements."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ifmmin.corpus import features, folds, scalings
from stages import ingest, split

SIZES = {"a": 130, "v": 342, "t": 1024}
LONGEST = {"v": 50, "t": 22}
N_TRAIN, N_OTHER = 4446, 545
"""Utterances of an IEMOCAP fold: training; validation and test each."""
BLOCK = 1 << 16


class Place(NamedTuple):
    """The paths of a corpus and one of its folds."""

    features: Path
    fold: Path
    scaling: Path


def write(folder, n_train=N_TRAIN, n_other=N_OTHER, stretch=1, seed=0):
    """Write normally distributed frames; lengths are like IEMOCAP's, times `stretch`."""
    n = n_train + 2 * n_other
    draw = np.random.default_rng(seed)
    lengths = {
        "a": np.clip(draw.lognormal(3.6, 0.6, n), 8, 300).astype(int) * stretch,
        **{m: np.full(n, longest * stretch) for m, longest in LONGEST.items()},
    }
    place = Place(folder / "features", folder / "1.parquet", folder / "1_scaling.json")
    place.features.mkdir(parents=True)
    for m, size in SIZES.items():
        shape = (int(lengths[m].sum()), size)
        frames = np.lib.format.open_memmap(place.features / f"{m}.npy", "w+", np.float32, shape)
        for first in range(0, len(frames), BLOCK):
            block = frames[first : first + BLOCK]
            draw.standard_normal(dtype=np.float32, out=block)
            block *= 0.5
        frames.flush()
    ids = [f"u{i:06d}" for i in range(n)]
    index = pd.DataFrame({"utterance_id": ids, "speaker": "", "label": draw.integers(0, 4, n)})
    for m, n_frames in lengths.items():
        index[f"{m}_length"], index[f"{m}_offset"] = n_frames, np.cumsum(n_frames) - n_frames
    roles = np.repeat(["train", "validation", "test"], [n_train, n_other, n_other])
    about = {"name": "generated", "classes": list("abcd"), "synthetic": True, "iemocap": False}
    features.write_tables(
        place.features, index, pd.DataFrame({"fold": [], "utterance_id": [], "role": []}), about
    )
    folds.write(place.fold, pd.DataFrame({"utterance_id": ids, "role": roles}))
    scalings.write(place.scaling, np.zeros(SIZES["a"]), np.full(SIZES["a"], 0.5))
    return place


def ingested(folder, pack, params):
    """Ingest and split a pack with the pipeline's stages, and return its first fold."""
    ingest.main(["--pack", str(pack), "--out", str(folder / "features")])
    split.main(
        ["--params", str(params), "--features", str(folder / "features"), "--out", str(folder / "folds")]
    )
    fold = min((folder / "folds").glob("*.parquet"), key=lambda path: int(path.stem))
    return Place(folder / "features", fold, fold.with_name(f"{fold.stem}_scaling.json"))
