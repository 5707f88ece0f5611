"""The embedded corpus: generated features in IEMOCAP's form.

With it the pipeline runs where the licensed pack is not.

Ten speakers in five sessions, dialogues recorded with either actor's markers, four classes of IEMOCAP's
proportions, sequences of unequal length. Each emotion is a direction in a small space that all modalities
see, each through a map of its own and with its own strength; a speaker shifts it, and frames add noise. It
shows that a pipeline works, never that a system is better.

Equal bytes on every processor: what the generator adds and multiplies is rounded to a grid far coarser than
the last bits in which processors differ.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin.splitting import rule_roles
from ifmmin.terms import MODALITIES, ROLES

SPEAKERS = tuple(f"Ses{session:02d}{letter}" for session in range(1, 6) for letter in "FM")
SHARES = (0.20, 0.30, 0.31, 0.19)
"""Angry, happy, neutral, sad of IEMOCAP's 5531 utterances."""
GENERATOR = "the generator of the embedded corpus"
"""What makes its frames, as a pack names an extractor."""
LATENT = 8
GRID = 256.0
SPREAD = {"a": 1.0, "v": 0.4, "t": 0.5}
"""Standard deviation of a frame's noise; those of Denseface and BERT features are about 0.4 and 0.5."""


class Utterances(NamedTuple):
    """Who says what.

    Attributes:
        ids: in IEMOCAP's form.
        speakers: session and letter.
        labels: class index.
    """

    ids: list[str]
    speakers: list[str]
    labels: list[int]


def utterances(per_speaker: int, generator: np.random.Generator) -> Utterances:
    """Draw about `per_speaker` utterances for each of ten speakers, every class at least twice."""
    ids, speakers, labels = [], [], []
    for name in SPEAKERS:
        n = per_speaker + int(generator.integers(-(per_speaker // 16), per_speaker // 16 + 1))
        of_class = np.concatenate(
            [
                np.repeat(np.arange(len(SHARES)), 2),
                generator.choice(len(SHARES), n - 2 * len(SHARES), p=SHARES),
            ]
        )
        for number, label in enumerate(generator.permutation(of_class).tolist()):
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
    said: Utterances,
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
    """Generate one modality, an utterance at a time.

    Args:
        said: the utterances.
        m: a, v or t.
        size: features of a frame.
        shortest: frames of the shortest utterance.
        longest: frames of the longest.
        signal: strength of the emotion in this modality.
        noise: strength of what an utterance adds to its emotion, the same in all modalities.
        padded: whether zero frames follow up to the longest, as in the published visual and textual features.
        seed: of everything drawn; emotions and utterances are the same in each modality.

    Yields:
        Utterance id, and [T, size] float32.
    """
    shared = np.random.default_rng([seed, 1])
    emotions = shared.standard_normal((len(SHARES), LATENT))
    meant = emotions[said.labels] + noise * shared.standard_normal((len(said.ids), LATENT))
    own = np.random.default_rng([seed, 2, MODALITIES.index(m)])
    view = own.standard_normal((LATENT, size)) / LATENT**0.5
    voices = {name: 0.3 * own.standard_normal(size) for name in SPEAKERS}
    units, level = 2.0 ** own.integers(-3, 6, size), own.integers(-8, 9, size)
    for utterance_id, name, latent in zip(said.ids, said.speakers, meant, strict=True):
        T = int(own.integers(shortest, longest + 1))
        strength = (
            signal * own.random((T, 1)) * (own.random((T, 1)) < 0.5)
        )  # half of the frames carry the emotion
        x = voices[name] + strength * (latent @ view) + own.standard_normal((T, size))
        x = np.rint(x * (SPREAD[m] * GRID)) / GRID
        if m == "a":
            x = x * units + level  # low-level descriptors have units of all sizes
            x[:, -1] = level[-1]  # and some never vary
        yield utterance_id, np.pad(x, ((0, longest - T if padded else 0), (0, 0))).astype(np.float32)


def corpus(
    settings: Mapping[str, Any],
) -> tuple[Utterances, dict[str, Callable[[], Iterator[tuple[str, NDArray[np.float32]]]]]]:
    """Plan the embedded corpus: its utterances, and for each modality what generates its frames.

    Args:
        settings: the group synthesize of params.yaml.
    """
    said = utterances(settings["utterances_per_speaker"], np.random.default_rng([settings["seed"], 0]))
    return said, {
        m: partial(
            frames,
            said,
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


def folds(said: Utterances) -> dict[int, dict[str, list[str]]]:
    """The ten folds of the rule: fold to role to utterance ids."""
    index = pd.DataFrame({"utterance_id": said.ids, "speaker": said.speakers})
    by_fold = {fold: rule_roles(index, fold) for fold in range(1, len(SPEAKERS) + 1)}
    return {
        fold: {role: roles.loc[roles["role"] == role, "utterance_id"].tolist() for role in ROLES}
        for fold, roles in by_fold.items()
    }
