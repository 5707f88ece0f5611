"""The marks of Table 1: where the proposed system is above or on par with the other systems. No I/O.

    ↑  above every baseline        *  not above, but on par with the best of them
    ⇑  above every ablation        +  not above, but on par with the best of them

Source: paper, Table 1 and its caption. It does not define "on par"; the largest difference that it
marks as such is 0.0102 (WA of {v}).
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from ifmmin.core.terms import AVERAGE, CONDITIONS, METRICS

ROUNDING = 1e-12
"""Tolerance of the margin, since 0.6 - 0.59 exceeds 0.01 by 1e-17."""


def marked(
    table: pd.DataFrame,
    *,
    proposed: str,
    baselines: Sequence[str],
    ablations: Sequence[str],
    on_par: float,
) -> pd.DataFrame:
    """Add the marks to Table 1.

    Systems without a score in the table are ignored. There is no mark if the proposed system has no score, or
    if no system of the group has one.

    Args:
        table: Table 1: system, condition, wa, ua in [0, 1], unrounded; a number may be missing.
        proposed: the system that is marked.
        baselines: systems compared by ↑ and *.
        ablations: systems compared by ⇑ and +.
        on_par: largest difference from the best of a group that counts as on par, at least 0.

    Returns:
        The table with the additional columns wa_marks and ua_marks: text, empty except for the proposed
        system in the average and the six conditions.

    Source:
        Paper, Table 1.
    """
    result = table.assign(wa_marks="", ua_marks="")
    is_marked = (table["system"] == proposed) & table["condition"].isin((AVERAGE, *CONDITIONS))
    for row in table.index[is_marked]:
        cells = table[table["condition"] == table.loc[row, "condition"]].set_index("system")
        for metric in METRICS:
            ours, scores = cells.loc[proposed, metric], cells[metric]
            result.loc[row, f"{metric}_marks"] = _mark(
                ours, scores.reindex(baselines).max(), on_par, "↑", "*"
            ) + _mark(ours, scores.reindex(ablations).max(), on_par, "⇑", "+")
    return result


def references(
    systems: Iterable[str],
    *,
    proposed: str,
    baselines: Sequence[str],
    ablations: Sequence[str],
    on_par: float,
) -> list[str]:
    """List the systems that are not compared. Other arguments as in `marked`."""
    return [system for system in systems if system not in (proposed, *baselines, *ablations)]


def legend(
    table: pd.DataFrame,
    *,
    proposed: str,
    baselines: Sequence[str],
    ablations: Sequence[str],
    on_par: float,
) -> list[str]:
    """Explain the marks of Table 1; empty if it has none. Arguments as in `marked`."""
    if not (table["wa_marks"] + table["ua_marks"]).any():
        return []
    scored = set(table.loc[table["wa"].notna(), "system"])
    groups = (("↑", "*", "baseline", baselines), ("⇑", "+", "ablation", ablations))
    parts = [
        f"{better} above every {kind} ({', '.join(names)}), {par} not above, but within {on_par} of the best"
        for better, par, kind, systems in groups
        if (names := [system for system in systems if system in scored])
    ]
    return [f"Marks of {proposed}: {'; '.join(parts)}."]


def _mark(ours: float, best: float, on_par: float, better: str, par: str) -> str:
    """Choose the mark for one group; empty if a score is NaN, since comparisons with NaN are false."""
    if ours > best:
        return better
    return par if best - ours <= on_par + ROUNDING else ""
