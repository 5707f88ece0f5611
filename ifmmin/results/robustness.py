"""Robustness: WA and UA as a function of the missing rate, without retraining. No I/O.

Missing rates and protocols follow later papers: Lian et al., "GCNet", TPAMI 2023 (missing modalities; each
utterance keeps at least one), and Yuan et al., "TFR-Net", ACM Multimedia 2021 (missing frames).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin.core.terms import FULL, MODALITIES, logit_columns
from ifmmin.results import table1
from ifmmin.results.table1 import Runs
from ifmmin.training.calibration import probabilities

MissingFrames = Mapping[tuple[str, int, int], Mapping[float, pd.DataFrame]]
"""(system, fold, seed) to missing rate to predictions."""

PAIRS = ("av", "at", "vt")
MODALITIES_MISSING, FRAMES_MISSING = "modalities", "frames"
MIXED = "mixed"
"""The condition of utterances that miss different modalities."""


def draw_conditions(n: int, rate: float, seed: int) -> NDArray[np.str_]:
    """Draw the available modalities of n utterances.

    Args:
        n: number of utterances.
        rate: fraction of the 3 n sequences to remove, rounded to whole sequences. Each utterance keeps one
            randomly drawn modality, so at most two thirds are removed, even at rate 0.7.
        seed: seed of the draw; the sequences removed at a low rate are also removed at each higher rate.

    Returns:
        The condition of each utterance, "avt" if no modality is missing.
    """
    generator = np.random.default_rng(seed)
    kept, order = generator.integers(3, size=n), generator.permutation(2 * n)
    removed = order[: min(round(3 * n * rate), 2 * n)]
    available = np.ones((n, 3), dtype=bool)
    available[removed // 2, (kept[removed // 2] + 1 + removed % 2) % 3] = False
    return np.array(["".join(np.array(MODALITIES)[row]) for row in available])


def scores(runs: Runs, missing_frames: MissingFrames, n_classes: int) -> pd.DataFrame:
    """Score each run at each missing rate.

    Args:
        runs: (system, fold, seed) to predictions for the test utterances in every condition, with logits.
        missing_frames: the same with missing frames, by missing rate.
        n_classes: number of classes of the corpus.

    Returns:
        system, fold, seed, missing ("modalities" or "frames"), condition ("mixed" for missing
        modalities; otherwise one of the six, their average, or the full input), missing_rate, wa, ua.
    """
    parts: list[pd.DataFrame] = []
    for (system, fold, seed), predictions in runs.items():
        complete = completed(predictions)
        by_rate = {0.0: complete} | {
            rate: completed(table) for rate, table in missing_frames[system, fold, seed].items()
        }
        for rate, part in by_rate.items():
            mixed = table1.score(_without_modalities(complete, rate, seed), n_classes)
            rate_scores = [
                mixed[mixed["condition"] == FULL].assign(missing=MODALITIES_MISSING, condition=MIXED),
                table1.score(part, n_classes).assign(missing=FRAMES_MISSING),
            ]
            parts += [
                table.assign(system=system, fold=fold, seed=seed, missing_rate=rate) for table in rate_scores
            ]
    return pd.concat(parts, ignore_index=True)


def completed(predictions: pd.DataFrame) -> pd.DataFrame:
    """Add predictions for the full input to a system that has none because it has one network per condition.

    The added logits are the log of the mean probabilities of the three pairs of modalities. This is our
    construction, for curves that start at the full input; Table 1 does not use it.

    Args:
        predictions: utterance_id, condition, label, predicted, logit_<class> for each class; each condition
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


def _without_modalities(predictions: pd.DataFrame, rate: float, seed: int) -> pd.DataFrame:
    """Select the prediction for the modalities drawn for each utterance, labelled as the full input."""
    ids = sorted(set(predictions["utterance_id"]))
    available = dict(zip(ids, draw_conditions(len(ids), rate, seed), strict=True))
    chosen = predictions["condition"] == predictions["utterance_id"].map(available)
    part: pd.DataFrame = predictions[chosen].assign(condition=FULL)
    return part


def curves(scores: pd.DataFrame) -> pd.DataFrame:
    """Average over folds and seeds as Table 1 does.

    Returns:
        system, missing, condition, missing_rate, wa, ua, wa_std, ua_std, n_folds, n_seeds; systems and
        conditions in the order of the scores.
    """
    keys = ["system", "missing", "condition", "missing_rate"]
    order = pd.MultiIndex.from_frame(scores[keys].drop_duplicates())
    return table1.averaged(scores, keys).reindex(order).reset_index()
