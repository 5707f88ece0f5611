"""Statistical significance of differences in Table 1. Tables in, tables out; no I/O.

The runs of two systems are not independent samples. Seeds share a fold, so their differences are averaged,
which gives one value for each fold. Folds that train on the same utterances (on IEMOCAP: the two folds of a
session) or test on the same ones are averaged too. Each remaining value is a unit. Units share part of their
training data; the test of Nadeau and Bengio corrects their variance for it. The correction is an
approximation, since no unbiased estimator of this variance exists (Bengio and Grandvalet, JMLR 5, 2004).

One family of tests is primary: the average UA of the proposed system against each other system. Holm's
correction is within this family. All other tests are exploratory and uncorrected.

Source: Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52, 2003 (corrected
resampled t-test); Bouckaert and Frank, PAKDD 2004 (on the folds of cross-validation); Holm, Scandinavian
Journal of Statistics 6, 1979. The paper reports no test.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse.csgraph import connected_components
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from ifmmin.core.terms import AVERAGE, CONDITIONS, METRICS
from ifmmin.results.table1 import counted

COLUMNS = [
    *("other", "condition", "metric", "n_folds", "n_seeds", "difference", "ci_low", "ci_high"),
    *("p", "p_holm", "detectable", "effect_size", "note"),
]
PRIMARY = (AVERAGE, "ua")
"""Condition and metric of the primary tests."""
MIN_UNITS = 3
"""Minimum number of units: with two (one degree of freedom) the interval spans 25 standard errors."""

LEVEL, POWER = 0.05, 0.8

ROUNDING = 1e-12
"""Differences with a std up to this value count as equal."""


class Tested(NamedTuple):
    """Test of one difference; values that cannot be computed are NaN.

    Attributes:
        difference: mean over the units, in [-1, 1].
        ci_low: lower end of its 95 % confidence interval.
        ci_high: upper end.
        p: two-sided p value, uncorrected for multiple tests.
        detectable: the smallest true difference that the test detects at LEVEL with probability POWER, if
            the std of the differences is the observed one.
        effect_size: Cohen's d_z, the mean of the differences divided by their std (ddof 1).
    """

    difference: float
    ci_low: float
    ci_high: float
    p: float
    detectable: float
    effect_size: float


UNTESTED = Tested(*(math.nan,) * len(Tested._fields))


class _Fold(NamedTuple):
    """A fold's unit.

    Attributes:
        unit: number of the unit.
        ratio: test utterances of all folds of the unit, divided by its training utterances.
    """

    unit: int
    ratio: float


def compared(
    scores: pd.DataFrame, folds: Mapping[int, pd.DataFrame], *, proposed: str, others: Sequence[str]
) -> pd.DataFrame:
    """Compare the proposed system with each other system, in each condition and metric.

    The comparison uses the runs (fold and seed) that both systems have.

    Args:
        scores: system, fold, seed, condition, wa, ua; one row for each run and condition.
        folds: fold to utterance_id and role (train, validation, test).
        proposed: the proposed system.
        others: the systems to compare it with; systems without scores are allowed.

    Returns:
        other, condition, metric, n_folds, n_seeds (of the compared runs), difference (proposed minus other),
        ci_low, ci_high (95 %), p, p_holm (primary rows only), detectable, effect_size (d_z), note. There is
        one row for each other system, condition (average, then the six) and metric. With fewer than three
        units, or if all are equal, only the difference is present. The note gives the reason and other
        limitations.

    Raises:
        ValueError: if a scored fold has no roles, no training utterances or no test utterances.

    Source:
        See the module docstring.
    """
    fold_units = _fold_units({int(fold) for fold in scores["fold"].unique()}, folds)
    scored = set(scores["system"])
    rows = []
    for other, condition in product(others, (AVERAGE, *CONDITIONS)):
        absent = [system for system in (proposed, other) if system not in scored]
        runs = _differences(scores[scores["condition"] == condition], proposed, other)
        for metric in METRICS:
            row = _row(runs[metric].dropna(), fold_units, absent)
            rows.append({"other": other, "condition": condition, "metric": metric, **row})
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "p_holm"])
    return table.assign(p_holm=holm(table["p"].where(is_primary(table))))[COLUMNS]


def is_primary(table: pd.DataFrame) -> pd.Series:
    """Whether each row of a table with condition and metric is a primary test: bool."""
    condition, metric = PRIMARY
    return (table["condition"] == condition) & (table["metric"] == metric)


def corrected_t_test(differences: NDArray[np.float64], ratio: float) -> Tested:
    """Corrected resampled t-test: t = mean / sqrt((1/k + ratio) s^2), k - 1 degrees of freedom.

    Args:
        differences: [k] float64, one for each unit.
        ratio: n_test / n_train, at least 0; 0 gives Student's t-test.

    Returns:
        The test. All but the difference are NaN for fewer than three units, or if all differences are equal.

    Source:
        Nadeau and Bengio 2003; Bouckaert and Frank 2004. Cohen's d_z as in Lakens, Frontiers in Psychology 4,
        2013.
    """
    k = len(differences)
    if k < MIN_UNITS:
        return UNTESTED._replace(difference=float(differences.mean())) if k else UNTESTED
    mean, std = float(differences.mean()), float(differences.std(ddof=1))
    if std <= ROUNDING:
        return UNTESTED._replace(difference=mean)
    error = std * math.sqrt(1 / k + ratio)
    low, high = stats.t.interval(1 - LEVEL, k - 1, loc=mean, scale=error)
    p = 2 * float(stats.t.sf(abs(mean) / error, k - 1))
    return Tested(mean, float(low), float(high), p, _detectable_t(k) * error, mean / std)


@cache
def _detectable_t(k: int) -> float:
    """Difference, in standard errors, that a t-test of k units detects at LEVEL with probability POWER."""
    return float(TTestPower().solve_power(nobs=k, alpha=LEVEL, power=POWER)) * math.sqrt(k)


def with_intervals(
    table: pd.DataFrame, scores: pd.DataFrame, folds: Mapping[int, pd.DataFrame]
) -> pd.DataFrame:
    """Add to Table 1 the 95 % confidence interval of each mean, with the method of `corrected_t_test`.

    Args:
        table: Table 1: system, condition, wa, ua.
        scores: system, fold, seed, condition, wa, ua; one row for each run and condition.
        folds: fold to utterance_id and role.

    Returns:
        The table with wa_low, wa_high, ua_low, ua_high; missing for fewer than three units or if all units
        are equal. Bounds may lie outside [0, 1]. The centre of an interval is the mean over units; it differs
        from the mean over folds in the table if some folds have the same test utterances.

    Raises:
        ValueError: as in `compared`.
    """
    fold_units = _fold_units({int(fold) for fold in scores["fold"].unique()}, folds)
    runs = dict(iter(scores.set_index(["fold", "seed"]).groupby(["system", "condition"])))
    result = table.copy()
    for metric in METRICS:
        tests = [
            _tested(runs[key][metric].dropna(), fold_units) if key in runs else UNTESTED
            for key in zip(table["system"], table["condition"], strict=True)
        ]
        result[f"{metric}_low"] = [test.ci_low for test in tests]
        result[f"{metric}_high"] = [test.ci_high for test in tests]
    return result


def footnote(significance: pd.DataFrame) -> list[str]:
    """Describe below Table 1 the primary tests and their results.

    Args:
        significance: result of `compared`.

    Returns:
        One note; empty if nothing is compared.
    """
    primary = significance[is_primary(significance)]
    tested = primary[primary["p"].notna()]
    if significance.empty:
        return []
    if tested.empty:
        with_runs = primary[primary["n_folds"] > 0]
        reasons = (primary if with_runs.empty else with_runs)["note"].unique().tolist()
        reason = reasons[0] if len(reasons) == 1 else "see the notes in significance.csv"
        return [f"No difference is tested for significance: {reason}."]
    points = tested.assign(difference=100 * tested["difference"], detectable=100 * tested["detectable"])
    n_untested = len(primary) - len(tested)
    untested = f" ({n_untested} more could not be tested)" if n_untested else ""
    results = ", ".join(
        f"{row.other} {row.difference:+.1f} (p = {row.p_holm:.3f}, detectable {row.detectable:.1f})"
        for row in points.itertuples()
    )
    n_significant = int((tested["p_holm"] < LEVEL).sum())
    return [
        "Average UA of the proposed system minus that of each other system in points, corrected resampled "
        f"t-test (Nadeau and Bengio, 2003), Holm-corrected p, difference that one test at {LEVEL} detects "
        f"with power {POWER}: {results}"
        f"{untested}. {n_significant or 'None'} of {len(tested)} significant at {LEVEL}. All other tests in "
        "significance.csv are exploratory and uncorrected."
    ]


def _fold_units(scored: set[int], folds: Mapping[int, pd.DataFrame]) -> dict[int, _Fold]:
    """Compute the unit of each scored fold.

    Folds belong to one unit if they have the same training or the same test utterances.
    """
    numbers, sets = sorted(scored), []
    for fold in numbers:
        if fold not in folds:
            raise ValueError(f"fold {fold} has scores but no roles; expected roles for every scored fold.")
        roles = folds[fold]
        train, test = (frozenset(roles.loc[roles["role"] == r, "utterance_id"]) for r in ("train", "test"))
        if not train or not test:
            raise ValueError(
                f"fold {fold} has {len(train)} training and {len(test)} test utterances; "
                "expected at least one of each."
            )
        sets.append((train, test))
    shared = [[train == x or test == y for x, y in sets] for train, test in sets]
    units = connected_components(np.array(shared, ndmin=2))[1].tolist() if sets else []
    ratios = {}
    for unit in set(units):
        trains, tests = zip(*(pair for pair, u in zip(sets, units, strict=True) if u == unit), strict=True)
        ratios[unit] = len(frozenset().union(*tests)) / float(np.mean([len(train) for train in trains]))
    return {fold: _Fold(unit, ratios[unit]) for fold, unit in zip(numbers, units, strict=True)}


def _differences(scores: pd.DataFrame, proposed: str, other: str) -> pd.DataFrame:
    """Difference of each run: index (fold, seed), wa, ua; missing if only one system has the run."""
    ours, theirs = (
        scores[scores["system"] == system].set_index(["fold", "seed"])[list(METRICS)]
        for system in (proposed, other)
    )
    return (ours - theirs).sort_index()


def _units(runs: pd.Series, fold_units: Mapping[int, _Fold]) -> NDArray[np.float64]:
    """Average over seeds, then over the folds of a unit."""
    by_fold = runs.groupby(level="fold").mean()
    by_unit = by_fold.groupby([fold_units[fold].unit for fold in by_fold.index])
    return by_unit.mean().to_numpy(np.float64)


def _tested(runs: pd.Series, fold_units: Mapping[int, _Fold]) -> Tested:
    ratios = {fold_units[fold] for fold in runs.index.get_level_values("fold")}
    ratio = float(np.mean(sorted(unit.ratio for unit in ratios))) if ratios else 0.0
    return corrected_t_test(_units(runs, fold_units), ratio)


def _row(runs: pd.Series, fold_units: Mapping[int, _Fold], absent: Sequence[str]) -> dict[str, object]:
    """Compute one row from the differences of its runs, index (fold, seed)."""
    units, test = _units(runs, fold_units), _tested(runs, fold_units)
    n_folds, n_seeds = (runs.index.get_level_values(level).nunique() for level in ("fold", "seed"))
    if absent:
        note = f"{' and '.join(absent)}: no scores"
    elif not n_folds:
        note = "the two systems have no run in common"
    else:
        remarks = _remarks(runs, fold_units, n_folds, n_seeds)
        note = "; ".join([*_untestable(units, test, n_folds, n_seeds), *remarks])
    return {"n_folds": n_folds, "n_seeds": n_seeds, **test._asdict(), "note": note}


def _untestable(units: NDArray[np.float64], test: Tested, n_folds: int, n_seeds: int) -> list[str]:
    """Give the reason if there is no test."""
    if len(units) < MIN_UNITS:
        return [
            f"{counted(n_folds, 'fold')}, {counted(n_seeds, 'seed')}: too few for a test; "
            f"expected folds with at least {MIN_UNITS} different training sets"
        ]
    if math.isnan(test.p):
        return [f"the same difference in all {len(units)} units: no variance to test against"]
    return []


def _remarks(runs: pd.Series, fold_units: Mapping[int, _Fold], n_folds: int, n_seeds: int) -> list[str]:
    """List limitations of the compared runs."""
    members: dict[int, list[int]] = {}
    for fold in runs.index.get_level_values("fold").unique():
        members.setdefault(fold_units[fold].unit, []).append(fold)
    remarks = [
        f"folds {' and '.join(map(str, group))} share their training or test utterances and count once"
        for group in members.values()
        if len(group) > 1
    ]
    if len(runs) < n_folds * n_seeds:
        remarks.append(f"both systems have {len(runs)} of {n_folds * n_seeds} runs")
    if n_seeds == 1 and len(members) >= MIN_UNITS:
        remarks.append("one seed: the std over seeds is unknown")
    return remarks


def holm(p: pd.Series) -> pd.Series:
    """Holm correction over all p values that are not missing; missing ones stay missing."""
    result = p.astype(np.float64)
    tested = result.notna()
    if tested.any():
        result[tested] = multipletests(result[tested], method="holm")[1]
    return result
