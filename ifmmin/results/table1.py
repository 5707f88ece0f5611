"""Table 1, computed from the predictions of all runs. Tables in, tables out; no I/O.

Source: paper, section 3.1 (ten folds, three runs of each). The released
auto/combine_results.py selects the better of two runs of each fold, on test data too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from sklearn.metrics import confusion_matrix

from ifmmin.core import scoring
from ifmmin.core.terms import AVERAGE, CONDITIONS, FULL, braces

Runs = Mapping[tuple[str, int, int], pd.DataFrame]
"""(system, fold, seed) to its predictions: condition, label, predicted."""
SHOWN = (AVERAGE, *CONDITIONS, FULL)
"""Conditions of the table, in order."""


def score(predictions: pd.DataFrame, n_classes: int) -> pd.DataFrame:
    """Score one run in each condition.

    Args:
        predictions: condition, label, predicted.
        n_classes: number of classes of the corpus.

    Returns:
        condition, wa, ua: one row for each predicted condition (the six, then the full input), then the
        average over the six conditions; the full input is never part of it.
    """
    rows = [
        (
            c,
            scoring.wa(part["label"], part["predicted"]),
            scoring.ua(part["label"], part["predicted"], n_classes),
        )
        for c, part in _by_condition(predictions).items()
    ]
    scores = pd.DataFrame(rows, columns=["condition", "wa", "ua"])
    mean = scores[scores["condition"].isin(CONDITIONS)][["wa", "ua"]].mean()
    scores.loc[len(scores)] = [AVERAGE, mean["wa"], mean["ua"]]
    return scores


def heading(condition: str) -> str:
    """Name a condition for readers: average, or its modalities in braces, as in the paper."""
    return condition if condition == AVERAGE else braces(condition)


def table(scores: pd.DataFrame, systems: Sequence[str]) -> pd.DataFrame:
    """Table 1, one row for each system and condition.

    Args:
        scores: system, fold, seed, condition, wa, ua; one row for each run and condition.
        systems: the systems, in the order of the table.

    Returns:
        system, condition, wa, ua (mean over folds within a seed, then over seeds), wa_std, ua_std (over all
        runs, ddof 1; missing for a single run), n_folds, n_seeds (averaged in the row). Conditions: average,
        then the six, then the full input. If no run of a system predicts a condition, its scores are missing,
        and n_folds and n_seeds are 0.
    """
    result = averaged(scores, ["system", "condition"])
    order = pd.MultiIndex.from_product([systems, SHOWN], names=["system", "condition"])
    complete = result.reindex(order).reset_index()
    return complete.fillna({"n_folds": 0, "n_seeds": 0}).astype({"n_folds": int, "n_seeds": int})


def averaged(scores: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Average WA and UA over folds within a seed, then over seeds.

    Args:
        scores: keys, fold, seed, wa, ua; one row for each run and key.
        keys: columns within which to average.

    Returns:
        wa, ua, wa_std, ua_std (over all runs, ddof 1; missing for a single run), n_folds and n_seeds, indexed
        by the keys.
    """
    means = scores.groupby([*keys, "seed"])[["wa", "ua"]].mean().groupby(keys).mean()
    stds = scores.groupby(keys)[["wa", "ua"]].std(ddof=1).add_suffix("_std")
    counts = scores.groupby(keys).agg(n_folds=("fold", "nunique"), n_seeds=("seed", "nunique"))
    return means.join(stds).join(counts)


def nested(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Convert Table 1 to system -> condition -> {ua, wa}, unrounded.

    Missing scores have no entry.
    """
    present = table.dropna(subset=["wa", "ua"])
    return {
        str(system): {
            str(condition): {"ua": float(ua), "wa": float(wa)}
            for condition, ua, wa in zip(rows["condition"], rows["ua"], rows["wa"], strict=True)
        }
        for system, rows in present.groupby("system", sort=False)
    }


def scores(runs: Runs, n_classes: int) -> pd.DataFrame:
    """Score each run.

    Args:
        runs: (system, fold, seed) to predictions.
        n_classes: number of classes of the corpus.

    Returns:
        system, fold, seed, condition, wa, ua.
    """
    parts = [
        score(predictions, n_classes).assign(system=system, fold=fold, seed=seed)
        for (system, fold, seed), predictions in runs.items()
    ]
    return pd.concat(parts, ignore_index=True)


def confusions(runs: Runs, classes: Sequence[str]) -> pd.DataFrame:
    """Confusion matrix of each system and condition, summed over all folds and seeds.

    Args:
        runs: (system, fold, seed) to predictions.
        classes: class names in label order.

    Returns:
        system, condition, actual, predicted, count (int), share (of the utterances of the actual class, in
        [0, 1]; missing if the class has no utterances). One row for each pair of classes, by name, in each
        condition that a system predicts: systems in the order of the runs, the six conditions, then the full
        input, classes in label order.
    """
    parts = [
        _confusion(part, classes).assign(system=system, condition=condition)
        for system, predictions in _by_system(runs).items()
        for condition, part in _by_condition(predictions).items()
    ]
    columns = ["system", "condition", "actual", "predicted", "count", "share"]
    return pd.concat(parts, ignore_index=True)[columns]


def _confusion(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    counts = confusion_matrix(predictions["label"], predictions["predicted"], labels=range(len(classes)))
    pairs = pd.MultiIndex.from_product([classes, classes], names=["actual", "predicted"])
    table = pd.DataFrame({"count": counts.flatten()}, index=pairs).reset_index()
    return table.assign(share=table["count"] / table.groupby("actual")["count"].transform("sum"))


def recalls(runs: Runs, classes: Sequence[str]) -> pd.DataFrame:
    """Average the recall of each class as in Table 1: over folds within a seed, then over seeds.

    Args:
        runs: (system, fold, seed) to predictions.
        classes: class names in label order.

    Returns:
        system, condition, class, recall in [0, 1]: systems in the order of the runs, then the six conditions
        and the full input, if predicted. The mean over the classes is the UA of Table 1: a class without
        utterances counts as 0 here too.
    """
    rows = [
        (system, seed, condition, name, recall)
        for (system, _, seed), predictions in runs.items()
        for condition, part in _by_condition(predictions).items()
        for name, recall in zip(
            classes, scoring.recalls(part["label"], part["predicted"], len(classes)), strict=True
        )
    ]
    keys = ["system", "condition", "class"]
    by_run = pd.DataFrame(rows, columns=["system", "seed", "condition", "class", "recall"])
    means = by_run.groupby([*keys, "seed"])["recall"].mean().groupby(keys).mean()
    systems = list(dict.fromkeys(by_run["system"]))
    order = pd.MultiIndex.from_product([systems, (*CONDITIONS, FULL), classes], names=keys)
    return means.reindex(order).dropna().reset_index()


def _by_system(runs: Runs) -> dict[str, pd.DataFrame]:
    systems = dict.fromkeys(system for system, _, _ in runs)
    return {
        name: pd.concat([table for (system, _, _), table in runs.items() if system == name])
        for name in systems
    }


def _by_condition(predictions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Split by condition, in the order of core/terms.py."""
    groups = dict(iter(predictions.groupby("condition")))
    return {c: groups[c] for c in (*CONDITIONS, FULL) if c in groups}


def notes(
    table: pd.DataFrame, corpus: Mapping[str, Any], runs: Mapping[tuple[str, int, int], Mapping[str, Any]]
) -> list[str]:
    """Explain the numbers below Table 1.

    Args:
        table: Table 1.
        corpus: name and synthetic.
        runs: (system, fold, seed) to the metadata of the predictions (pretrained, None without pretraining;
            trained, evaluated, collapsed).

    Returns:
        Sentences on corpus, folds and seeds; on stds and empty cells, if there are any; on devices and
            precisions, if they are mixed; on collapsed encoders.
    """
    sentences = [
        f"{corpus['name']}; mean over {counted(table['n_folds'].max(), 'fold')}, "
        f"then over {counted(table['n_seeds'].max(), 'seed')}. "
        "Average: mean of the six conditions, without the full input {a,v,t}."
    ]
    if corpus["synthetic"]:
        sentences.append(
            "The corpus is synthetic: the table shows that the pipeline works, not that one system is better "
            "than another."
        )
    if table["wa_std"].notna().any():
        sentences.append("± is the standard deviation over all runs.")
    if table["wa"].isna().any():
        sentences.append("\N{EN DASH} means that the system does not support this input.")
    kinds = devices_and_precisions(runs)
    if len(kinds) > 1:
        sentences.append(f"Devices and precisions are mixed: {', '.join(kinds)}.")
    sentences += [
        f"Collapsed: {', '.join(run['collapsed'])} of {system}, fold {fold}, seed {seed}, "
        "gave one output for all validation utterances."
        for (system, fold, seed), run in runs.items()
        if run["collapsed"]
    ]
    return sentences


def devices_and_precisions(runs: Mapping[tuple[str, int, int], Mapping[str, Any]]) -> list[str]:
    """List the devices and precisions of the runs, such as "cpu float32"; `runs` as in `notes`."""
    parts = (run[when] for run in runs.values() for when in ("pretrained", "trained", "evaluated"))
    return sorted({f"{part['device']} {part['precision']}" for part in parts if part is not None})


def counted(n: int, thing: str) -> str:
    """Format a count: "1 fold", "2 folds"."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"
