"""Paired comparison of two experiments. Tables in, tables out; no I/O.

Both experiments predict the same test utterances, so their differences are paired. Two confidence intervals
express the uncertainty of a difference. The first resamples the test utterances of each fold and class and,
where a fold has several seeds, its runs (percentile bootstrap; Efron and Tibshirani, An Introduction to the
Bootstrap, 1993; Owen, The Pigeonhole Bootstrap, Annals of Applied Statistics 1, 2007). It needs one fold and
captures the sampling of utterances from the same speakers; with one seed, the trained networks are fixed. The
second is the corrected t-test of `significance` over folds. It captures the variance of training in any case,
and needs three folds.
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
    *("low", "high", "seed_std", "ci_low", "ci_high", "p", "p_holm", "detectable", "note"),
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
        difference (other minus reference), low and high (95 % over test utterances and seeds), seed_std (std
        over seeds of the difference, averaged over the folds that have all seeds; missing for one seed),
        ci_low, ci_high, p, p_holm and detectable (over folds, missing for fewer than three units; Holm over
        the average UA of all systems), note (as in significance.csv).

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
    primary = table["p"].where(significance.is_primary(table))
    return table.assign(p_holm=significance.holm(primary))[COLUMNS]


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
    spread = _seed_std(scores)
    tests = significance.compared(scores, folds, proposed="other", others=["reference"])
    keys = list(zip(tests["condition"], tests["metric"], strict=True))
    reference, other = ([means.loc[(side, c), m] for c, m in keys] for side in ("reference", "other"))
    indices = tuple(zip(*((SHOWN.index(c), METRICS.index(m)) for c, m in keys), strict=True))
    table = tests.drop(columns="other").assign(
        reference=reference,
        other=other,
        low=low[indices],
        high=high[indices],
        seed_std=[spread.loc[c, m] for c, m in keys],
    )
    return table.assign(difference=table["other"] - table["reference"])


def _seed_std(scores: pd.DataFrame) -> pd.DataFrame:
    """Std over seeds (ddof 1) of the difference, averaged over the folds that have all seeds: wa, ua."""
    sides = [
        scores[scores["system"] == side].set_index(["condition", "seed", "fold"])[list(METRICS)]
        for side in ("other", "reference")
    ]
    runs = (sides[0] - sides[1]).reset_index()
    complete = runs.groupby("fold")["seed"].transform("nunique") == runs["seed"].nunique()
    by_seed = runs[complete].groupby(["condition", "seed"])[list(METRICS)].mean()
    return by_seed.groupby(level="condition").std(ddof=1).reindex(runs["condition"].unique())


def resampled(
    pair: Mapping[tuple[str, int, int], tuple[pd.DataFrame, pd.DataFrame]], n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap, over test utterances and seeds, of the difference between two experiments.

    All conditions and seeds, and all folds with the same test utterances, share one resample of utterances.
    Each class of a fold keeps its number of utterances, and folds are averaged. The seeds of each fold are
    resampled independently; with n seeds this understates their variance by a factor of (n - 1) / n.

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
        shares = _shares(len(gains), generator)
        for label in np.unique(labels):
            gain, key = gains[:, labels == label], tuple(ids[labels == label])
            n = gain.shape[1]
            if key not in resamples:
                resamples[key] = generator.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)
            total = sum(
                share[:, None] * (resamples[key] @ run) for share, run in zip(shares.T, gain, strict=True)
            )
            replicates[..., METRICS.index("wa")] += total / len(labels)
            replicates[..., METRICS.index("ua")] += total / n / n_classes
    low, high = np.percentile(replicates / len(folds), [2.5, 97.5], axis=0)
    return low, high


def _shares(n_seeds: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Weight of each seed in each resample, [N_RESAMPLES, n_seeds]; 1 for a single seed."""
    if n_seeds == 1:
        return np.ones((N_RESAMPLES, 1))
    return generator.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=N_RESAMPLES) / n_seeds


def _gains(
    seeds: list[tuple[pd.DataFrame, pd.DataFrame]],
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.int64]]:
    """Gain of each test utterance of a fold in [-1, 1]: [seeds, utterances, 7], ids and labels."""
    correct = [[_correct(table) for table in tables] for tables in seeds]
    gains = np.stack([(after - before).to_numpy() for before, after in correct])
    ids, labels = (
        correct[0][0].index.get_level_values(level).to_numpy() for level in ("utterance_id", "label")
    )
    return np.concatenate([gains.mean(axis=2, keepdims=True), gains], axis=2), ids, labels


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
