"""One experiment against another, utterance by utterance. Pure: tables in, tables out.

Both have predicted the same test utterances, so their differences are paired. Two intervals say how sure a
difference is. One resamples the test utterances of each fold and class (percentile bootstrap; Efron and
Tibshirani, An Introduction to the Bootstrap, 1993): what other utterances of the same speakers might have
given, with the trained networks as they are; it needs one fold. The other is the corrected t-test over folds
of `significance`, which sees the spread of training too, and needs three.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin import averaging, significance
from ifmmin.averaging import Runs
from ifmmin.errors import UserError
from ifmmin.terms import AVERAGE, CONDITIONS, METRICS

COLUMNS = [
    *("system", "condition", "metric", "n_folds", "n_seeds", "reference", "other", "difference"),
    *("low", "high", "ci_low", "ci_high", "p", "p_holm", "note"),
]
DRAWS = 2**12
SHOWN = (AVERAGE, *CONDITIONS)


def compared(reference: Runs, other: Runs, folds: Mapping[int, pd.DataFrame], n_classes: int) -> pd.DataFrame:
    """Compare each system of one experiment with the same system of another.

    Args:
        reference: (system, fold, seed) to predictions: utterance_id, condition, label, predicted.
        other: the same of the other experiment; runs that only one has are left out.
        folds: fold to utterance_id and role, the same in both.
        n_classes: number of classes of the corpus.

    Returns:
        system, condition (average, then the six), metric, n_folds, n_seeds, reference and other (means),
        difference (other minus reference), low and high (95 % over test utterances), ci_low, ci_high, p and
        p_holm (over folds, missing for fewer than three; Holm over all lines), note (why, as in
        significance.csv).

    Raises:
        UserError: if the two have no run in common, or a run tests other utterances in the one than in the
            other.
    """
    common = [key for key in reference if key in other]
    if not common:
        raise UserError(
            "The two experiments have no run in common; expected at least one system, fold and seed in both."
        )
    for key in common:
        _check_pair(key, reference[key], other[key])
    parts = []
    for system in dict.fromkeys(system for system, _, _ in common):
        keys = [key for key in common if key[0] == system]
        pair = {key: (reference[key], other[key]) for key in keys}
        parts.append(_lines(pair, folds, n_classes).assign(system=system))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(p_holm=significance.holm(table["p"]))[COLUMNS]


def _check_pair(key: tuple[str, int, int], reference: pd.DataFrame, other: pd.DataFrame) -> None:
    ids, others = (set(zip(t["utterance_id"], t["label"], strict=True)) for t in (reference, other))
    if ids != others:
        system, fold, seed = key
        raise UserError(
            f"{system}, fold {fold}, seed {seed}: {len(ids ^ others)} test utterances or their labels differ "
            "between the two experiments; expected the same corpus and folds. Compare such means by hand."
        )


def _lines(
    pair: Mapping[tuple[str, int, int], tuple[pd.DataFrame, pd.DataFrame]],
    folds: Mapping[int, pd.DataFrame],
    n_classes: int,
) -> pd.DataFrame:
    """All conditions and metrics of one system."""
    scores = pd.concat(
        averaging.scores({key: tables[side] for key, tables in pair.items()}, n_classes).assign(system=name)
        for side, name in enumerate(("reference", "other"))
    )
    means = averaging.table(scores, ["reference", "other"]).set_index(["system", "condition"])
    low, high = resampled(pair, n_classes)
    tests = significance.compared(scores, folds, proposed="other", others=["reference"])
    keys = list(zip(tests["condition"], tests["metric"], strict=True))
    before, after = ([means.loc[(side, c), m] for c, m in keys] for side in ("reference", "other"))
    places = tuple(zip(*((SHOWN.index(c), METRICS.index(m)) for c, m in keys), strict=True))
    table = tests.drop(columns="other").assign(
        reference=before, other=after, low=low[places], high=high[places]
    )
    return table.assign(difference=table["other"] - table["reference"])


def resampled(
    pair: Mapping[tuple[str, int, int], tuple[pd.DataFrame, pd.DataFrame]], n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap of the difference between two experiments over test utterances.

    The same utterances are drawn in all conditions and seeds, and in folds that test the same ones. Within a
    fold each class keeps its number of utterances, and folds are averaged.

    Args:
        pair: (system, fold, seed) of one system to its predictions in the one and in the other experiment.
        n_classes: number of classes of the corpus.

    Returns:
        Lower and upper ends of the 95 % interval: two of [7 (average and the six conditions), 2 (WA, UA)].
    """
    draw = np.random.default_rng(0)
    folds = sorted({fold for _, fold, _ in pair})
    drawn: dict[tuple[str, ...], NDArray[np.int64]] = {}
    replicates = np.zeros((DRAWS, len(SHOWN), len(METRICS)))
    for fold in folds:
        gains, ids, labels = _gains([tables for (_, of, _), tables in pair.items() if of == fold])
        for label in np.unique(labels):
            gain, key = gains[labels == label], tuple(ids[labels == label])
            if key not in drawn:
                drawn[key] = draw.multinomial(len(gain), np.full(len(gain), 1 / len(gain)), size=DRAWS)
            total = drawn[key] @ gain
            replicates[..., METRICS.index("wa")] += total / len(labels)
            replicates[..., METRICS.index("ua")] += total / len(gain) / n_classes
    low, high = np.percentile(replicates / len(folds), [2.5, 97.5], axis=0)
    return low, high


def _gains(
    seeds: list[tuple[pd.DataFrame, pd.DataFrame]],
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.int64]]:
    """What each utterance of a fold gains, in [-1, 1], mean over seeds: [utterances, 7], its id and class."""
    right = [[_right(table) for table in tables] for tables in seeds]
    gains = np.mean([(after - before).to_numpy() for before, after in right], axis=0)
    ids, labels = (
        right[0][0].index.get_level_values(level).to_numpy() for level in ("utterance_id", "label")
    )
    return np.column_stack([gains.mean(axis=1), gains]), ids, labels


def _right(predictions: pd.DataFrame) -> pd.DataFrame:
    """Whether each utterance (rows, with its label) is right in each of the six conditions (columns)."""
    rows = predictions[predictions["condition"].isin(CONDITIONS)]
    right = rows.assign(right=(rows["label"] == rows["predicted"]).astype(np.float64))
    table = right.pivot_table(index=["utterance_id", "label"], columns="condition", values="right")
    return table[list(CONDITIONS)]


def changed(reference: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys of params.yaml in which two experiments differ, and both values; None where one has no such key.

    Args:
        reference: dotted key to value.
        other: the same of the other experiment.
    """
    keys = dict.fromkeys((*reference, *other))
    return {key: (reference.get(key), other.get(key)) for key in keys if reference.get(key) != other.get(key)}
