"""Whether a difference in Table 1 is more than chance. Pure: tables in, tables out.

The runs of two systems are no independent samples. Seeds share their fold: their differences are averaged,
which leaves one number for each fold. Folds that test the same utterances, as two of IEMOCAP's published pack
do, are averaged into one number too. What is left, a unit, is one set of test utterances (a speaker, on
IEMOCAP). Units share training data: their variance is corrected for it, after Nadeau and Bengio. The
correction is an estimate, as no unbiased one exists (Bengio and Grandvalet, JMLR 5, 2004); beside it stands a
check that assumes less, a permutation test over units.

Source: Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52, 2003 (corrected
resampled t-test); Bouckaert and Frank, PAKDD 2004 (on the folds of cross-validation); Holm, Scandinavian
Journal of Statistics 6, 1979. The paper reports no test.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from ifmmin.averaging import counted
from ifmmin.terms import AVERAGE, CONDITIONS, METRICS, braces

COLUMNS = [
    "other",
    "condition",
    "metric",
    "n_folds",
    "n_seeds",
    "difference",
    "ci_low",
    "ci_high",
    "p",
    "p_holm",
    "effect_size",
    "note",
]
FEWEST = 3
"""Units that a test needs: with two, one degree of freedom, the interval is 25 standard errors wide."""

LEVEL = 0.05
FLIPS = 2**14
"""Sign flips of the permutation test: all of them up to 14 units, as many drawn ones beyond."""

ROUNDING = 1e-12
"""Deviations up to here are those of equal differences."""

LISTED = 6
"""Differences that the footnote names; of more, it gives their number."""


class Tested(NamedTuple):
    """What a test says of one difference; NaN where it cannot say it.

    Attributes:
        difference: mean over the units, in [-1, 1].
        ci_low: lower end of its 95 % confidence interval.
        ci_high: upper end.
        p: two-sided.
        effect_size: Cohen's d_z, the mean of the differences over their standard deviation (ddof 1).
    """

    difference: float
    ci_low: float
    ci_high: float
    p: float
    effect_size: float


UNTESTED = Tested(math.nan, math.nan, math.nan, math.nan, math.nan)


class _Fold(NamedTuple):
    """The first fold that tests the same utterances, and test utterances for each one of training."""

    unit: int
    ratio: float


def compared(
    scores: pd.DataFrame, folds: Mapping[int, pd.DataFrame], *, proposed: str, others: Sequence[str]
) -> pd.DataFrame:
    """Compare the proposed system with each other one, in each condition and metric.

    Only runs (fold and seed) that both systems have are compared.

    Args:
        scores: system, fold, seed, condition, wa, ua; one line for each run and condition.
        folds: fold to utterance_id and role (train, validation, test).
        proposed: the system that differences are taken from.
        others: the systems it is compared with, scored or not.

    Returns:
        other, condition, metric, n_folds, n_seeds (of the runs compared), difference (proposed minus other),
        ci_low, ci_high (95 %), p, p_holm (over all lines that have a p), effect_size (d_z), note. A line for
        each other, condition (average, then the six) and metric, always. Fewer than three units: no numbers.
        No spread between units: the difference alone. The note says why, and gives the permutation test's p.

    Raises:
        ValueError: if a fold that is scored has no roles, or nothing to train or test on.

    Source:
        See the module.
    """
    described = _described({int(fold) for fold in scores["fold"].unique()}, folds)
    known = set(scores["system"])
    rows = []
    for other, condition in product(others, (AVERAGE, *CONDITIONS)):
        absent = [system for system in (proposed, other) if system not in known]
        runs = _differences(scores[scores["condition"] == condition], proposed, other)
        for metric in METRICS:
            line = _line(runs[metric].dropna(), described, absent)
            rows.append({"other": other, "condition": condition, "metric": metric, **line})
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "p_holm"])
    return table.assign(p_holm=holm(table["p"]))[COLUMNS]


def corrected(differences: NDArray[np.float64], ratio: float) -> Tested:
    """Corrected resampled t-test: t = mean / sqrt((1/k + ratio) s^2), k - 1 degrees of freedom.

    Args:
        differences: [k] float64, one for each unit.
        ratio: test utterances for each one of training, n_test / n_train, at least 0; 0 is Student's t-test.

    Returns:
        The test; nothing for fewer than three units, and no more than the difference where all are equal.

    Source:
        Nadeau and Bengio 2003; Bouckaert and Frank 2004. Cohen's d_z as in Lakens, Frontiers in Psychology 4,
        2013.
    """
    k = len(differences)
    if k < FEWEST:
        return UNTESTED
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if deviation <= ROUNDING:
        return UNTESTED._replace(difference=mean)
    error = deviation * math.sqrt(1 / k + ratio)
    low, high = stats.t.interval(1 - LEVEL, k - 1, loc=mean, scale=error)
    p = 2 * float(stats.t.sf(abs(mean) / error, k - 1))
    return Tested(mean, float(low), float(high), p, mean / deviation)


def with_intervals(
    table: pd.DataFrame, scores: pd.DataFrame, folds: Mapping[int, pd.DataFrame]
) -> pd.DataFrame:
    """Add to Table 1 a 95 % confidence interval of each mean, by the method that tests differences.

    Args:
        table: Table 1: system, condition, wa, ua.
        scores: system, fold, seed, condition, wa, ua; one line for each run and condition.
        folds: fold to utterance_id and role.

    Returns:
        The table with wa_low, wa_high, ua_low, ua_high; missing for fewer than three units, and where they do
        not differ. An end may lie outside [0, 1]. The centre is the mean over units, which is not the cell's
        mean over folds where some folds test the same utterances.

    Raises:
        ValueError: as in `compared`.
    """
    described = _described({int(fold) for fold in scores["fold"].unique()}, folds)
    runs = dict(iter(scores.set_index(["fold", "seed"]).groupby(["system", "condition"])))
    result = table.copy()
    for metric in METRICS:
        ends = [
            _tested(runs[key][metric].dropna(), described) if key in runs else UNTESTED
            for key in zip(table["system"], table["condition"], strict=True)
        ]
        result[f"{metric}_low"] = [end.ci_low for end in ends]
        result[f"{metric}_high"] = [end.ci_high for end in ends]
    return result


def flipped(differences: NDArray[np.float64]) -> float:
    """Permutation test: how often do differences of random sign have a mean as far from 0?

    Under the hypothesis that the two systems are alike, a unit's difference is as likely with the other sign.
    All signs are tried, or, of more than 14 units, 16,384 drawn from a fixed seed.

    Args:
        differences: [k] float64, one for each unit, k at least 2.

    Returns:
        p, two-sided; at least 2 / 2^k.
    """
    test = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=FLIPS, rng=np.random.default_rng(0)
    )
    return float(test.pvalue)


def footnote(significance: pd.DataFrame) -> list[str]:
    """Say below Table 1 how differences were tested, and which hold.

    Args:
        significance: what `compared` gives.

    Returns:
        A note; none where nothing is compared.
    """
    tested = significance[significance["p"].notna()]
    if significance.empty:
        return []
    if tested.empty:
        met = significance[significance["n_folds"] > 0]
        reasons = (significance if met.empty else met)["note"].unique().tolist()
        reason = reasons[0] if len(reasons) == 1 else "the notes in significance.csv say why"
        return [f"No difference is tested for significance: {reason}."]
    left = len(significance) - len(tested)
    more = f" ({left} more could not be tested)" if left else ""
    method = (
        "Differences of the proposed system from the others: corrected resampled t-test (Nadeau and Bengio, "
        f"2003) on folds, seeds averaged, p after Holm over {len(tested)} comparisons{more}."
    )
    held = tested[tested["p_holm"] < LEVEL]
    if len(held) > LISTED:
        above = int((held["difference"] > 0).sum())
        return [f"{method} {len(held)} hold at {LEVEL}, {above} of them in its favour."]
    named = ", ".join(
        f"{other} {_head(condition)} {metric.upper()} {difference:+.4f}"
        for other, condition, metric, difference in zip(
            held["other"], held["condition"], held["metric"], held["difference"], strict=True
        )
    )
    return [f"{method} At {LEVEL} hold: {named}." if named else f"{method} None holds at {LEVEL}."]


def _head(condition: str) -> str:
    return condition if condition == AVERAGE else braces(condition)


def _described(scored: set[int], folds: Mapping[int, pd.DataFrame]) -> dict[int, _Fold]:
    """Say of each fold what it tests, and how much for what it trains on."""
    first: dict[frozenset[str], int] = {}
    found = {}
    for fold in sorted(scored):
        if fold not in folds:
            raise ValueError(f"fold {fold} has scores and no roles; expected those of every fold scored.")
        roles = folds[fold]
        train, test = (frozenset(roles.loc[roles["role"] == r, "utterance_id"]) for r in ("train", "test"))
        if not train or not test:
            raise ValueError(
                f"fold {fold} has {len(train)} utterances to train on and {len(test)} to test; "
                "expected at least one of each."
            )
        found[fold] = _Fold(first.setdefault(test, fold), len(test) / len(train))
    return found


def _differences(scores: pd.DataFrame, proposed: str, other: str) -> pd.DataFrame:
    """Subtract run by run: index (fold, seed), wa, ua; missing where only one system has the run."""
    ours, theirs = (
        scores[scores["system"] == system].set_index(["fold", "seed"])[list(METRICS)]
        for system in (proposed, other)
    )
    return (ours - theirs).sort_index()


def _units(runs: pd.Series, described: Mapping[int, _Fold]) -> NDArray[np.float64]:
    """Average over seeds, then over folds that test the same utterances."""
    by_fold = runs.groupby(level="fold").mean()
    by_unit = by_fold.groupby([described[fold].unit for fold in by_fold.index])
    return by_unit.mean().to_numpy(np.float64)


def _tested(runs: pd.Series, described: Mapping[int, _Fold]) -> Tested:
    ratios = [described[fold].ratio for fold in runs.index.get_level_values("fold").unique()]
    return corrected(_units(runs, described), float(np.mean(ratios))) if ratios else UNTESTED


def _line(runs: pd.Series, described: Mapping[int, _Fold], absent: Sequence[str]) -> dict[str, object]:
    """Fill a line from the differences of its runs, index (fold, seed)."""
    units, test = _units(runs, described), _tested(runs, described)
    n_folds, n_seeds = (runs.index.get_level_values(level).nunique() for level in ("fold", "seed"))
    if absent:
        note = f"{' and '.join(absent)}: no scores"
    elif not n_folds:
        note = "no run that both systems have"
    else:
        remarks = _remarks(runs, described, n_folds, n_seeds)
        note = "; ".join([_outcome(units, test, n_folds, n_seeds), *remarks])
    return {"n_folds": n_folds, "n_seeds": n_seeds, **test._asdict(), "note": note}


def _outcome(units: NDArray[np.float64], test: Tested, n_folds: int, n_seeds: int) -> str:
    """Say why there is no test, or what the permutation test says of the same units."""
    if len(units) < FEWEST:
        return (
            f"{counted(n_folds, 'fold')}, {counted(n_seeds, 'seed')}: too few for a test; "
            f"at least {FEWEST} folds with test utterances of their own"
        )
    if math.isnan(test.p):
        return f"the same difference in all {len(units)} folds: no spread to test against"
    kind = "exact" if 2 ** len(units) <= FLIPS else f"{FLIPS} random flips"
    return f"sign-flip test over {len(units)} test sets ({kind}): p = {flipped(units):.4f}"


def _remarks(runs: pd.Series, described: Mapping[int, _Fold], n_folds: int, n_seeds: int) -> list[str]:
    """Say what a reader of the numbers should know of the runs behind them."""
    sharing: dict[int, list[int]] = {}
    for fold in runs.index.get_level_values("fold").unique():
        sharing.setdefault(described[fold].unit, []).append(fold)
    remarks = [
        f"folds {' and '.join(map(str, group))} test the same utterances and count once"
        for group in sharing.values()
        if len(group) > 1
    ]
    if len(runs) < n_folds * n_seeds:
        remarks.append(f"{len(runs)} of {n_folds * n_seeds} runs are there for both systems")
    if n_seeds == 1 and len(sharing) >= FEWEST:
        remarks.append("one seed: the spread over seeds is not seen")
    return remarks


def holm(p: pd.Series) -> pd.Series:
    """Correct the p that are there for their number, after Holm; the others stay missing."""
    result = p.astype(np.float64)
    there = result.notna()
    if there.any():
        result[there] = multipletests(result[there], method="holm")[1]
    return result
