"""From the predictions of all runs to Table 1. Pure: tables in, tables out.

Source: paper, section 3.1 (ten folds, three runs of each). The released
auto/combine_results.py takes the better of two runs of each fold, on test data too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ifmmin import scoring
from ifmmin.terms import CONDITIONS, FULL

AVERAGE = "average"


def score(predictions: pd.DataFrame, n_classes: int) -> pd.DataFrame:
    """Score one run: condition, wa and ua, the six conditions and the full input first, then their average.

    Args:
        predictions: condition, label, predicted.
        n_classes: number of classes of the corpus.

    Returns:
        One row for each condition that is there; the average is over the six conditions, never over the full
        input.
    """
    groups = dict(iter(predictions.groupby("condition")))
    present = {c: groups[c] for c in (*CONDITIONS, FULL) if c in groups}
    rows = [
        (
            c,
            scoring.wa(part["label"], part["predicted"]),
            scoring.ua(part["label"], part["predicted"], n_classes),
        )
        for c, part in present.items()
    ]
    scores = pd.DataFrame(rows, columns=["condition", "wa", "ua"])
    mean = scores[scores["condition"].isin(CONDITIONS)][["wa", "ua"]].mean()
    scores.loc[len(scores)] = [AVERAGE, mean["wa"], mean["ua"]]
    return scores


def table(scores: pd.DataFrame, rows: Sequence[str]) -> pd.DataFrame:
    """Table 1, one line for each system and condition.

    Args:
        scores: system, fold, seed, condition, wa, ua; one line for each run and condition.
        rows: systems, in the order of the table.

    Returns:
        system, condition, wa, ua (mean over folds within a seed, then over seeds), wa_std, ua_std (deviation
        over all runs, ddof 1; missing for a single run), n_folds, n_seeds. Conditions: average, then the six,
        then the full input.
    """
    by_seed = scores.groupby(["system", "condition", "seed"])[["wa", "ua"]].mean()
    means = by_seed.groupby(["system", "condition"]).mean()
    spread = scores.groupby(["system", "condition"])[["wa", "ua"]].std(ddof=1).add_suffix("_std")
    counts = scores.groupby(["system", "condition"]).agg(
        n_folds=("fold", "nunique"), n_seeds=("seed", "nunique")
    )
    result = means.join(spread).join(counts)
    order = pd.MultiIndex.from_product([rows, (AVERAGE, *CONDITIONS, FULL)], names=["system", "condition"])
    return result.reindex(order).reset_index()


def nested(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Turn Table 1 into system -> condition -> {ua, wa}, unrounded, for `dvc metrics`."""
    return {
        str(system): {
            str(condition): {"ua": float(ua), "wa": float(wa)}
            for condition, ua, wa in zip(lines["condition"], lines["ua"], lines["wa"], strict=True)
        }
        for system, lines in table.groupby("system", sort=False)
    }


def scores(runs: Mapping[tuple[str, int, int], pd.DataFrame], n_classes: int) -> pd.DataFrame:
    """Score every run.

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


def confusions(
    runs: Mapping[tuple[str, int, int], pd.DataFrame], system: str, classes: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Pair actual and predicted classes, by name, over all folds and seeds of one system.

    Args:
        runs: (system, fold, seed) to predictions.
        system: the one that is shown.
        classes: class names in label order.

    Returns:
        For each of the six conditions: actual, predicted; a line for each test utterance and run.
    """
    shown = pd.concat([table for (name, _, _), table in runs.items() if name == system], ignore_index=True)
    named = pd.DataFrame(
        {
            "condition": shown["condition"],
            "actual": shown["label"].map(dict(enumerate(classes))),
            "predicted": shown["predicted"].map(dict(enumerate(classes))),
        }
    )
    return {c: named.loc[named["condition"] == c, ["actual", "predicted"]] for c in CONDITIONS}


def notes(
    table: pd.DataFrame, corpus: Mapping[str, Any], runs: Mapping[tuple[str, int, int], Mapping[str, Any]]
) -> list[str]:
    """Say below Table 1 what its numbers are.

    Args:
        table: Table 1.
        corpus: name and synthetic.
        runs: (system, fold, seed) to what the predictions say of their run (pretrained, trained,
            evaluated, collapsed).

    Returns:
        Sentences: corpus, folds and seeds; devices and precisions where they are mixed; encoders that
            collapsed.
    """
    found = [
        f"{corpus['name']}; mean over {_counted(table['n_folds'].max(), 'fold')}, "
        f"then over {_counted(table['n_seeds'].max(), 'seed')}. "
        "Average: of the six conditions; {a,v,t} is the full input and no part of it."
    ]
    if corpus["synthetic"]:
        found.append(
            "The corpus is generated: the table shows that the pipeline works, never that a system is better."
        )
    kinds = sorted(
        {
            f"{run[when]['device']} {run[when]['precision']}"
            for run in runs.values()
            for when in ("pretrained", "trained", "evaluated")
        }
    )
    if len(kinds) > 1:
        found.append(f"Devices and precisions are mixed: {', '.join(kinds)}.")
    found += [
        f"Collapsed: {', '.join(run['collapsed'])} of {system}, fold {fold}, seed {seed}, "
        "gave one output for all validation utterances."
        for (system, fold, seed), run in runs.items()
        if run["collapsed"]
    ]
    return found


def _counted(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"
