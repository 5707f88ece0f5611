"""The marks of Table 1: where the proposed system is better than the others, or on par with them. Pure.

    ↑  above every baseline        *  not above, but on par with the best of them
    ⇑  above every ablation        +  not above, but on par with the best of them

Source: paper, Table 1 and its caption. It does not say how close "on par" is: the largest gap that it
marks so is 0.0102 (WA of {v}).
"""

from collections.abc import Sequence

import pandas as pd

from ifmmin.terms import AVERAGE, CONDITIONS, METRICS

ROUNDING = 1e-12
"""What the margin forgives: 0.6 - 0.59 is 1e-17 more than 0.01."""


def marked(
    table: pd.DataFrame,
    *,
    proposed: str,
    baselines: Sequence[str],
    ablations: Sequence[str],
    on_par: float,
) -> pd.DataFrame:
    """Add the marks to Table 1.

    A group counts with those of its systems that have a number in the table; where none has, or the proposed
    system has none, its sign is left out.

    Args:
        table: Table 1: system, condition, wa, ua in [0, 1], unrounded; a number may be missing.
        proposed: the system that is marked.
        baselines: those that ↑ and * look at.
        ablations: those that ⇑ and + look at.
        on_par: largest gap to the best of a group at which * and + stand, at least 0.

    Returns:
        The table with two columns more, wa_marks and ua_marks: text, empty but for the proposed system in the
        average and the six conditions.

    Source:
        Paper, Table 1.
    """
    result = table.assign(wa_marks="", ua_marks="")
    due = (table["system"] == proposed) & table["condition"].isin((AVERAGE, *CONDITIONS))
    for row in table.index[due]:
        cells = table[table["condition"] == table.loc[row, "condition"]].set_index("system")
        for metric in METRICS:
            ours, rivals = cells.loc[proposed, metric], cells[metric]
            result.loc[row, f"{metric}_marks"] = _sign(
                ours, rivals.reindex(baselines).max(), on_par, "↑", "*"
            ) + _sign(ours, rivals.reindex(ablations).max(), on_par, "⇑", "+")
    return result


def legend(
    table: pd.DataFrame,
    *,
    proposed: str,
    baselines: Sequence[str],
    ablations: Sequence[str],
    on_par: float,
) -> list[str]:
    """Explain the marks below Table 1; nothing where it has none. Arguments as in `marked`."""
    if not (table["wa_marks"] + table["ua_marks"]).any():
        return []
    there = set(table.loc[table["wa"].notna(), "system"])
    groups = (("↑", "*", "baseline", baselines), ("⇑", "+", "ablation", ablations))
    parts = [
        f"{better} above every {kind} ({', '.join(met)}), {par} not above, but within {on_par} of the best"
        for better, par, kind, systems in groups
        if (met := [system for system in systems if system in there])
    ]
    return [f"Marks of {proposed}: {'; '.join(parts)}."]


def _sign(ours: float, best: float, on_par: float, better: str, par: str) -> str:
    """Choose the sign of one group; none where a number is missing, as no comparison with NaN holds."""
    if ours > best:
        return better
    return par if best - ours <= on_par + ROUNDING else ""
