"""The synthetic corpus: generated features in the form of IEMOCAP.

The pipeline runs on it where the licensed feature pack is not available. It can show that the pipeline works,
but not that one system is better than another.

It has ten speakers in five sessions, IEMOCAP's four classes in their proportions, and sequences of different
lengths. Each emotion is a point in a latent space. Each modality observes it through its own random linear
map and signal strength; speakers add an offset and frames add noise.

The files are identical on all processors: values are rounded to a grid much coarser than the floating-point
differences between processors.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin.core.terms import MODALITIES, ROLES
from ifmmin.corpus.splitting import rule_roles

SPEAKERS = tuple(f"Ses{session:02d}{letter}" for session in range(1, 6) for letter in "FM")
PROPORTIONS = (0.20, 0.30, 0.31, 0.19)
"""Proportions of angry, happy, neutral and sad among IEMOCAP's 5531 utterances."""
GENERATOR = "synthetic corpus generator"
"""Name of the feature extractor in pack.json."""
LATENT = 8
GRID = 256.0
NOISE_STD = {"a": 1.0, "v": 0.4, "t": 0.5}
"""Std of the frames' noise; the std of Denseface and BERT features is about 0.4 and 0.5."""


class Utterances(NamedTuple):
    """The utterances of the corpus.

    Attributes:
        ids: in IEMOCAP's form.
        speakers: session and gender, for example Ses01F.
        labels: class index.
    """

    ids: list[str]
    speakers: list[str]
    labels: list[int]


def utterances(per_speaker: int, generator: np.random.Generator) -> Utterances:
    """Draw about `per_speaker` utterances for each of ten speakers, with at least two of each class."""
    ids, speakers, labels = [], [], []
    for name in SPEAKERS:
        n = per_speaker + int(generator.integers(-(per_speaker // 16), per_speaker // 16 + 1))
        labels_of_speaker = np.concatenate(
            [
                np.repeat(np.arange(len(PROPORTIONS)), 2),
                generator.choice(len(PROPORTIONS), n - 2 * len(PROPORTIONS), p=PROPORTIONS),
            ]
        )
        for number, label in enumerate(generator.permutation(labels_of_speaker).tolist()):
            markers = "FM"[int(generator.integers(2))]
            scene = (
                f"impro{number % 7 + 1:02d}"
                if generator.integers(2)
                else f"script{number % 3 + 1:02d}_{number % 2 + 1}"
            )
            ids.append(f"{name[:5]}{markers}_{scene}_{name[5]}{number:03d}")
            speakers.append(name)
            labels.append(label)
    return Utterances(ids, speakers, labels)


def frames(
    utterances: Utterances,
    m: str,
    *,
    size: int,
    shortest: int,
    longest: int,
    signal: float,
    noise: float,
    padded: bool,
    seed: int,
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Generate the frames of one modality, one utterance at a time.

    Args:
        utterances: ids, speakers and labels.
        m: modality: a, v or t.
        size: feature size D_m.
        shortest: minimum number of frames.
        longest: maximum number of frames.
        signal: strength of the emotion in this modality.
        noise: std of the latent noise of an utterance, the same in all modalities.
        padded: whether to pad with zero frames to the maximum, as in the published visual and textual
            features.
        seed: seed of all random draws; the latent points do not depend on the modality.

    Yields:
        Utterance id, and [T, size] float32.
    """
    shared = np.random.default_rng([seed, 1])
    emotions = shared.standard_normal((len(PROPORTIONS), LATENT))
    latents = emotions[utterances.labels] + noise * shared.standard_normal((len(utterances.ids), LATENT))
    generator = np.random.default_rng([seed, 2, MODALITIES.index(m)])
    projection = generator.standard_normal((LATENT, size)) / LATENT**0.5
    speaker_offsets = {name: 0.3 * generator.standard_normal(size) for name in SPEAKERS}
    units, level = 2.0 ** generator.integers(-3, 6, size), generator.integers(-8, 9, size)
    for utterance_id, name, latent in zip(utterances.ids, utterances.speakers, latents, strict=True):
        T = int(generator.integers(shortest, longest + 1))
        # Half of the frames carry the emotion.
        strength = signal * generator.random((T, 1)) * (generator.random((T, 1)) < 0.5)
        x = speaker_offsets[name] + strength * (latent @ projection) + generator.standard_normal((T, size))
        x = np.rint(x * (NOISE_STD[m] * GRID)) / GRID
        if m == "a":
            x = x * units + level  # acoustic descriptors have very different scales
            x[:, -1] = level[-1]  # and a constant one is included
        yield utterance_id, np.pad(x, ((0, longest - T if padded else 0), (0, 0))).astype(np.float32)


def corpus(
    settings: Mapping[str, Any],
) -> tuple[Utterances, dict[str, Callable[[], Iterator[tuple[str, NDArray[np.float32]]]]]]:
    """The synthetic corpus: its utterances, and a frame generator for each modality.

    Args:
        settings: the group synthesize of params.yaml.

    Returns:
        The utterances, and modality to a function that yields (utterance id, frames [T, D_m] float32).
    """
    drawn = utterances(settings["utterances_per_speaker"], np.random.default_rng([settings["seed"], 0]))
    return drawn, {
        m: partial(
            frames,
            drawn,
            m,
            size=settings["sizes"][m],
            shortest=settings["frames"][m][0],
            longest=settings["frames"][m][1],
            signal=settings["signal"][m],
            noise=settings["noise"],
            padded=m != "a",
            seed=settings["seed"],
        )
        for m in MODALITIES
    }


def folds(utterances: Utterances) -> dict[int, dict[str, list[str]]]:
    """The ten folds of the speaker split: fold to role to utterance ids."""
    index = pd.DataFrame({"utterance_id": utterances.ids, "speaker": utterances.speakers})
    by_fold = {fold: rule_roles(index, fold) for fold in range(1, len(SPEAKERS) + 1)}
    return {
        fold: {role: roles.loc[roles["role"] == role, "utterance_id"].tolist() for role in ROLES}
        for fold, roles in by_fold.items()
    }
