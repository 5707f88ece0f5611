"""Comparison of our scores with the paper's. Tables in, tables out; no I/O."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

KEY = ["system", "condition", "metric"]
FOLDS, SEEDS, CLASSES = 10, 3, 4
"""Folds and seeds averaged in the paper's Table 1, and its number of classes; paper, sections 3 and 3.1."""

REBUILT = ("mctn",)
"""Systems that the paper reports without their construction; this project uses its own."""


def against_paper(table: pd.DataFrame, published: pd.DataFrame, corpus: Mapping[str, Any]) -> pd.DataFrame:
    """Compare our scores with the paper's and note where they are not comparable.

    Args:
        table: Table 1: system, condition, wa, ua in [0, 1], n_folds, n_seeds; scores may be missing.
        published: system, condition, wa, ua: the paper's Table 1, four digits.
        corpus: name, classes, synthetic, iemocap, from corpus.json.

    Returns:
        system, condition, metric (wa, then ua), ours (unrounded), paper, difference (ours minus paper), note.
        One row for each score of the paper whose system and condition are in the table, in the order of the
        table. The note is empty if corpus, folds and seeds match the paper's.

    Source:
        Paper, Table 1; sections 3 (IEMOCAP, four emotions) and 3.1 (ten folds, three runs of each).
    """
    rows = _long(table, ["n_folds", "n_seeds"], "ours").merge(
        _long(published, [], "paper"), on=KEY, how="inner"
    )
    about_corpus = _about_corpus(corpus)
    notes = [
        "; ".join([*about_corpus, *_about_runs(n_folds, n_seeds, ours), *_about_system(system)])
        for system, n_folds, n_seeds, ours in rows[["system", "n_folds", "n_seeds", "ours"]].itertuples(
            index=False
        )
    ]
    rows = rows.assign(difference=rows["ours"] - rows["paper"], note=notes)
    return rows[[*KEY, "ours", "paper", "difference", "note"]]


def _long(table: pd.DataFrame, kept: list[str], name: str) -> pd.DataFrame:
    """Put wa and ua into separate rows, in the order of the table."""
    rows = table.reset_index(drop=True).rename_axis("row").reset_index()
    long = rows.melt(["row", "system", "condition", *kept], ["wa", "ua"], "metric", name)
    return long.sort_values("row", kind="stable", ignore_index=True).drop(columns="row")


def _about_corpus(corpus: Mapping[str, Any]) -> list[str]:
    if corpus["synthetic"]:
        return ["synthetic corpus: not comparable"]
    if not corpus["iemocap"]:
        return [f"{corpus['name']} is not IEMOCAP: not comparable"]
    n_classes = len(corpus["classes"])
    return [f"{n_classes} classes, the paper has {CLASSES}: not comparable"] if n_classes != CLASSES else []


def _about_runs(n_folds: float, n_seeds: float, ours: float) -> list[str]:
    if pd.isna(ours):
        return ["no runs of this system"]
    if n_folds >= FOLDS and n_seeds >= SEEDS:
        return []
    return [f"{n_folds:.0f} of the paper's {FOLDS} folds, {n_seeds:.0f} of its {SEEDS} seeds"]


def _about_system(system: str) -> list[str]:
    return ["our own construction of the system: only a rough comparison"] if system in REBUILT else []
