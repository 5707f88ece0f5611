"""Our figures beside the paper's. Pure: tables in, tables out."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

KEY = ["system", "condition", "metric"]
FOLDS, SEEDS, CLASSES = 10, 3, 4
"""What each figure of the paper's Table 1 is a mean over, and of; paper, sections 3 and 3.1."""

LANDMARKS = ("mctn",)
"""Rows that the paper quotes without saying how they were made, and that are our construction here."""


def against_paper(table: pd.DataFrame, published: pd.DataFrame, corpus: Mapping[str, Any]) -> pd.DataFrame:
    """Set our figures beside the paper's, and say where the two cannot be compared.

    Args:
        table: Table 1: system, condition, wa, ua in [0, 1], n_folds, n_seeds; a number may be missing.
        published: system, condition, wa, ua: the paper's Table 1, four digits.
        corpus: name, classes, synthetic, iemocap, as corpus.json has them.

    Returns:
        system, condition, metric (wa, then ua), ours (unrounded), paper, difference (ours minus paper), note.
        A line for each figure of the paper whose system and condition the table has, in its order. The note
        is empty where corpus, folds and seeds are the paper's.

    Source:
        Paper, Table 1; sections 3 (IEMOCAP, four emotions) and 3.1 (ten folds, three runs of each).
    """
    lines = _long(table, ["n_folds", "n_seeds"], "ours").merge(
        _long(published, [], "paper"), on=KEY, how="inner"
    )
    about_corpus = _about_corpus(corpus)
    notes = [
        "; ".join([*about_corpus, *_about_runs(n_folds, n_seeds, ours), *_about_system(system)])
        for system, n_folds, n_seeds, ours in lines[["system", "n_folds", "n_seeds", "ours"]].itertuples(
            index=False
        )
    ]
    lines = lines.assign(difference=lines["ours"] - lines["paper"], note=notes)
    return lines[[*KEY, "ours", "paper", "difference", "note"]]


def _long(table: pd.DataFrame, kept: list[str], name: str) -> pd.DataFrame:
    """Give each of wa and ua a line of its own, in the order of the table."""
    rows = table.reset_index(drop=True).rename_axis("row").reset_index()
    long = rows.melt(["row", "system", "condition", *kept], ["wa", "ua"], "metric", name)
    return long.sort_values("row", kind="stable", ignore_index=True).drop(columns="row")


def _about_corpus(corpus: Mapping[str, Any]) -> list[str]:
    if corpus["synthetic"]:
        return ["generated corpus: not comparable"]
    if not corpus["iemocap"]:
        return [f"{corpus['name']} is not IEMOCAP: not comparable"]
    n_classes = len(corpus["classes"])
    return [f"{n_classes} classes, the paper has {CLASSES}: not comparable"] if n_classes != CLASSES else []


def _about_runs(n_folds: float, n_seeds: float, ours: float) -> list[str]:
    if pd.isna(ours):
        return ["no run of ours"]
    if n_folds >= FOLDS and n_seeds >= SEEDS:
        return []
    return [f"{n_folds:.0f} of the paper's {FOLDS} folds, {n_seeds:.0f} of its {SEEDS} seeds"]


def _about_system(system: str) -> list[str]:
    return ["our construction: the paper's figure is a landmark"] if system in LANDMARKS else []
