"""WA and UA against the share of what is missing: whole modalities, or frames of each. Pure.

Nothing is trained for it. Share and protocol are those of later papers (Lian et al., "GCNet", TPAMI 2023:
missing modalities, at least one is kept; Yuan et al., "TFR-Net", ACM Multimedia 2021: missing frames).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin import averaging
from ifmmin.averaging import Runs
from ifmmin.calibration import probabilities
from ifmmin.terms import FULL, MODALITIES, logit_columns

Gaps = Mapping[tuple[str, int, int], Mapping[float, pd.DataFrame]]
"""(system, fold, seed) to share of missing frames to predictions."""

PAIRS = ("av", "at", "vt")
MODALITIES_MISSING, FRAMES_MISSING = "modalities", "frames"
MIXED = "mixed"
"""The condition of utterances that miss different modalities."""


def drawn(n: int, share: float, seed: int) -> NDArray[np.str_]:
    """Draw which modalities each of n utterances has.

    Args:
        n: how many.
        share: of the 3 n sequences, which are taken away, as near as can be. One of each utterance, drawn
            too, stays: so at most two thirds go, for which 0.7 stands.
        seed: of the draw; what a small share takes away, a larger one takes too.

    Returns:
        The condition of each utterance, "avt" where nothing is missing.
    """
    generator = np.random.default_rng(seed)
    kept, order = generator.integers(3, size=n), generator.permutation(2 * n)
    gone = order[: min(round(3 * n * share), 2 * n)]
    there = np.ones((n, 3), dtype=bool)
    there[gone // 2, (kept[gone // 2] + 1 + gone % 2) % 3] = False
    return np.array(["".join(np.array(MODALITIES)[row]) for row in there])


def scores(runs: Runs, gaps: Gaps, n_classes: int) -> pd.DataFrame:
    """Score every run at every share.

    Args:
        runs: (system, fold, seed) to predictions of the test utterances in every condition, with logits.
        gaps: the same with missing frames.
        n_classes: number of classes of the corpus.

    Returns:
        system, fold, seed, missing ("modalities" or "frames"), condition ("mixed" where modalities are
        missing, else one of the six, their average, or the full input), share, wa, ua.
    """
    parts: list[pd.DataFrame] = []
    for (system, fold, seed), predictions in runs.items():
        whole = completed(predictions)
        by_share = {0.0: whole} | {share: completed(of) for share, of in gaps[system, fold, seed].items()}
        for share, part in by_share.items():
            fewer = averaging.score(_without_modalities(whole, share, seed), n_classes)
            of_share = [
                fewer[fewer["condition"] == FULL].assign(missing=MODALITIES_MISSING, condition=MIXED),
                averaging.score(part, n_classes).assign(missing=FRAMES_MISSING),
            ]
            parts += [of.assign(system=system, fold=fold, seed=seed, share=share) for of in of_share]
    return pd.concat(parts, ignore_index=True)


def completed(predictions: pd.DataFrame) -> pd.DataFrame:
    """Add the full input where a system has a network for each of the six conditions and none for it.

    What stands in is the mean of the probabilities of the three pairs of modalities, as logits. It is ours,
    for curves that begin at the full input, and has no part in Table 1.

    Args:
        predictions: utterance_id, condition, label, predicted, logit_<class> of each class; each condition
            has the same utterances in the same order.
    """
    if (predictions["condition"] == FULL).any():
        return predictions
    columns = logit_columns(predictions.columns)
    pairs = [predictions[predictions["condition"] == c] for c in PAIRS]
    mean = np.mean([probabilities(pair[columns]) for pair in pairs], axis=0)
    full = pairs[0].assign(condition=FULL, predicted=mean.argmax(1))
    full[columns] = np.log(np.maximum(mean, np.finfo(np.float32).tiny))
    return pd.concat([predictions, full], ignore_index=True)


def _without_modalities(predictions: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """What is said of each utterance with the modalities that are drawn for it, as if of the full input."""
    ids = sorted(set(predictions["utterance_id"]))
    drawn_for = dict(zip(ids, drawn(len(ids), share, seed), strict=True))
    chosen = predictions["condition"] == predictions["utterance_id"].map(drawn_for)
    part: pd.DataFrame = predictions[chosen].assign(condition=FULL)
    return part


def curves(scores: pd.DataFrame) -> pd.DataFrame:
    """Average over folds and seeds as Table 1 does.

    Returns:
        system, missing, condition, share, wa, ua, wa_std, ua_std, n_folds, n_seeds; systems and conditions as
        they come.
    """
    keys = ["system", "missing", "condition", "share"]
    order = pd.MultiIndex.from_frame(scores[keys].drop_duplicates())
    return averaging.averaged(scores, keys).reindex(order).reset_index()
