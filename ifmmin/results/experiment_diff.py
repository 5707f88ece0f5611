"""Paired comparison of two experiments. Tables in, tables out; no I/O.

Both experiments predict the same test utterances, so their differences are paired. Two confidence intervals
express the uncertainty of a difference. The first resamples the test utterances of each fold and class
(percentile bootstrap; Efron and Tibshirani, An Introduction to the Bootstrap, 1993). It captures the sampling
of utterances from the same speakers, treats the trained networks as fixed, and needs one fold. The second is
the corrected t-test of `significance` over folds. It also captures the variance of training and needs three
folds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin.core.errors import UserError
from ifmmin.core.terms import AVERAGE, CONDITIONS, METRICS
from ifmmin.results import significance, table1
from ifmmin.results.table1 import Runs

COLUMNS = [
    *("system", "condition", "metric", "n_folds", "n_seeds", "reference", "other", "difference"),
    *("low", "high", "ci_low", "ci_high", "p", "p_holm", "note"),
]
N_RESAMPLES = 2**12
SHOWN = (AVERAGE, *CONDITIONS)


def compared(reference: Runs, other: Runs, folds: Mapping[int, pd.DataFrame], n_classes: int) -> pd.DataFrame:
    """Compare each system of one experiment with the same system of another.

    Args:
        reference: (system, fold, seed) to predictions: utterance_id, condition, label, predicted.
        other: the same for the other experiment; runs in only one experiment are left out.
        folds: fold to utterance_id and role, the same in both experiments.
        n_classes: number of classes of the corpus.

    Returns:
        system, condition (average, then the six), metric, n_folds, n_seeds, reference and other (means),
        difference (other minus reference), low and high (95 % over test utterances), ci_low, ci_high, p and
        p_holm (over folds, missing for fewer than three; Holm over all rows), note (as in significance.csv).

    Raises:
        UserError: if the experiments have no run in common, or test utterances or labels differ.
    """
    common = [key for key in reference if key in other]
    if not common:
        raise UserError(
            "The two experiments have no run in common; expected at least one system, fold and seed in both. "
            "Rerun one of them with the systems, folds and seeds of the other."
        )
    for key in common:
        _check_pair(key, reference[key], other[key])
    parts = []
    for system in dict.fromkeys(system for system, _, _ in common):
        keys = [key for key in common if key[0] == system]
        pair = {key: (reference[key], other[key]) for key in keys}
        parts.append(_system_rows(pair, folds, n_classes).assign(system=system))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(p_holm=significance.holm(table["p"]))[COLUMNS]


def _check_pair(key: tuple[str, int, int], reference: pd.DataFrame, other: pd.DataFrame) -> None:
    ids, others = (set(zip(t["utterance_id"], t["label"], strict=True)) for t in (reference, other))
    if ids != others:
        system, fold, seed = key
        raise UserError(
            f"{system}, fold {fold}, seed {seed}: {len(ids ^ others)} test utterances or their labels differ "
            "between the two experiments; expected the same corpus and folds. "
            "Rerun one of them on the corpus and folds of the other."
        )


def _system_rows(
    pair: Mapping[tuple[str, int, int], tuple[pd.DataFrame, pd.DataFrame]],
    folds: Mapping[int, pd.DataFrame],
    n_classes: int,
) -> pd.DataFrame:
    """Compare one system in all conditions and metrics."""
    scores = pd.concat(
        table1.scores({key: tables[side] for key, tables in pair.items()}, n_classes).assign(system=name)
        for side, name in enumerate(("reference", "other"))
    )
    means = table1.table(scores, ["reference", "other"]).set_index(["system", "condition"])
    low, high = resampled(pair, n_classes)
    tests = significance.compared(scores, folds, proposed="other", others=["reference"])
    keys = list(zip(tests["condition"], tests["metric"], strict=True))
    reference, other = ([means.loc[(side, c), m] for c, m in keys] for side in ("reference", "other"))
    indices = tuple(zip(*((SHOWN.index(c), METRICS.index(m)) for c, m in keys), strict=True))
    table = tests.drop(columns="other").assign(
        reference=reference, other=other, low=low[indices], high=high[indices]
    )
    return table.assign(difference=table["other"] - table["reference"])


def resampled(
    pair: Mapping[tuple[str, int, int], tuple[pd.DataFrame, pd.DataFrame]], n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap over test utterances of the difference between two experiments.

    All conditions and seeds, and all folds with the same test utterances, share one resample. Each class of
    a fold keeps its number of utterances, and folds are averaged.

    Args:
        pair: (system, fold, seed) of one system to its predictions in the reference and the other experiment.
        n_classes: number of classes of the corpus.

    Returns:
        Lower and upper ends of the 95 % interval, each [7 (average and the six conditions), 2 (WA, UA)].
    """
    generator = np.random.default_rng(0)
    folds = sorted({fold for _, fold, _ in pair})
    resamples: dict[tuple[str, ...], NDArray[np.int64]] = {}
    replicates = np.zeros((N_RESAMPLES, len(SHOWN), len(METRICS)))
    for fold in folds:
        gains, ids, labels = _gains([tables for (_, run_fold, _), tables in pair.items() if run_fold == fold])
        for label in np.unique(labels):
            gain, key = gains[labels == label], tuple(ids[labels == label])
            if key not in resamples:
                resamples[key] = generator.multinomial(
                    len(gain), np.full(len(gain), 1 / len(gain)), size=N_RESAMPLES
                )
            total = resamples[key] @ gain
            replicates[..., METRICS.index("wa")] += total / len(labels)
            replicates[..., METRICS.index("ua")] += total / len(gain) / n_classes
    low, high = np.percentile(replicates / len(folds), [2.5, 97.5], axis=0)
    return low, high


def _gains(
    seeds: list[tuple[pd.DataFrame, pd.DataFrame]],
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.int64]]:
    """Gain of each test utterance of a fold in [-1, 1], mean over seeds: [utterances, 7], ids and labels."""
    correct = [[_correct(table) for table in tables] for tables in seeds]
    gains = np.mean([(after - before).to_numpy() for before, after in correct], axis=0)
    ids, labels = (
        correct[0][0].index.get_level_values(level).to_numpy() for level in ("utterance_id", "label")
    )
    return np.column_stack([gains.mean(axis=1), gains]), ids, labels


def _correct(predictions: pd.DataFrame) -> pd.DataFrame:
    """Whether each utterance (rows) is classified correctly in each of the six conditions (columns)."""
    rows = predictions[predictions["condition"].isin(CONDITIONS)]
    correct = rows.assign(correct=(rows["label"] == rows["predicted"]).astype(np.float64))
    table = correct.pivot_table(index=["utterance_id", "label"], columns="condition", values="correct")
    return table[list(CONDITIONS)]


def changed(reference: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the keys of params.yaml that differ, with both values; None for a key that one lacks.

    Args:
        reference: dotted key to value.
        other: the same for the other experiment.
    """
    keys = dict.fromkeys((*reference, *other))
    return {key: (reference.get(key), other.get(key)) for key in keys if reference.get(key) != other.get(key)}
