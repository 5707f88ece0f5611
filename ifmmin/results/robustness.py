"""Robustness: WA and UA as a function of the missing rate, without retraining. No I/O.

Missing rates follow later papers: Lian et al., "GCNet", TPAMI 2023 (missing modalities; each utterance keeps
at least one), and Yuan et al., "TFR-Net", ACM Multimedia 2021 (missing frames). For missing modalities no
mask is drawn: the scores are expected values, computed from the predictions of the conditions.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ifmmin.core.terms import CONDITIONS, FULL, METRICS, MODALITIES, logit_columns
from ifmmin.results import table1
from ifmmin.results.table1 import Runs
from ifmmin.training.calibration import probabilities

MissingFrames = Mapping[tuple[str, int, int], Mapping[float, pd.DataFrame]]
"""(system, fold, seed) to missing rate to predictions."""

PAIRS = ("av", "at", "vt")
MODALITIES_MISSING, FRAMES_MISSING = "modalities", "frames"
MIXED = "mixed"
"""The condition of utterances that miss different modalities."""


def probabilities_of_conditions(rate: float) -> dict[str, float]:
    """Probability that an utterance is tested in each condition, at a missing rate.

    One modality, drawn with equal chance, is kept; each of the other two is missing with probability 1.5 x
    rate, so that a fraction `rate` of all sequences is missing. Above rate 2/3 both are missing.

    Args:
        rate: expected fraction of missing sequences, in [0, 1].

    Returns:
        Condition to probability: the six and the full input; they add up to 1.

    Source:
        Missing rate and the kept modality: Lian et al., "GCNet", TPAMI 2023, who draw masks at random.
    """
    q, n = min(1.5 * rate, 1.0), len(MODALITIES)
    by_size = {1: q**2 / n, 2: 2 * q * (1 - q) / n, 3: (1 - q) ** 2}
    return {c: by_size[len(c)] for c in (*CONDITIONS, FULL)}


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
        by_condition = table1.score(complete, n_classes).set_index("condition")
        by_rate = {0.0: complete} | {
            rate: completed(table) for rate, table in missing_frames[system, fold, seed].items()
        }
        for rate, part in by_rate.items():
            rate_scores = [
                _expected(by_condition, rate).assign(missing=MODALITIES_MISSING),
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


def _expected(by_condition: pd.DataFrame, rate: float) -> pd.DataFrame:
    """Expected WA and UA at a rate of missing modalities: one row, condition "mixed".

    Both are means over utterances (UA: within classes), so their expectation is exact: the scores of the
    conditions, weighted by the probability of each.

    Args:
        by_condition: wa and ua of the six conditions and the full input.
        rate: the missing rate.
    """
    weights = pd.Series(probabilities_of_conditions(rate))
    expected = {metric: weights @ by_condition.loc[weights.index, metric] for metric in METRICS}
    return pd.DataFrame([{"condition": MIXED, **expected}])


def curves(scores: pd.DataFrame) -> pd.DataFrame:
    """Average over folds and seeds as Table 1 does.

    Returns:
        system, missing, condition, missing_rate, wa, ua, wa_std, ua_std, n_folds, n_seeds; systems and
        conditions in the order of the scores.
    """
    keys = ["system", "missing", "condition", "missing_rate"]
    order = pd.MultiIndex.from_frame(scores[keys].drop_duplicates())
    return table1.averaged(scores, keys).reindex(order).reset_index()
