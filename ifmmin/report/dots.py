"""Dot plots of the page: one row for each system. Tables in, charts by name out; no I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from ifmmin.core.terms import AVERAGE, CONDITIONS, FULL, braces
from ifmmin.report.encodings import (
    HEADINGS,
    METRIC,
    ROW,
    Looks,
    by_metric,
    colours,
    domain,
    metric_parameter,
    named,
    number,
    rows,
    select,
    symbols,
    titled,
)
from ifmmin.results.table1 import SHOWN, heading

Charts = dict[str, alt.Chart | alt.LayerChart]


def scores(table: pd.DataFrame, looks: Looks) -> Charts:
    """Draw the means of Table 1 with their intervals: one chart for each condition, on one zoomed axis.

    Args:
        table: system, condition, and wa and ua with their _std, _low and _high. Without an interval, the
            line is one standard deviation to each side.
        looks: system to look.
    """
    intervals = table.copy()
    for metric in ("wa", "ua"):
        mean, std = table[metric], table[f"{metric}_std"]
        intervals[f"{metric}_low"] = table[f"{metric}_low"].fillna(mean - std).clip(0, 1)
        intervals[f"{metric}_high"] = table[f"{metric}_high"].fillna(mean + std).clip(0, 1)
    shown = by_metric(intervals, looks)
    # A reference that varies much would hide how the others differ: its interval may be cut.
    compared = {look.name for look in looks.values() if not look.reference}
    within = shown["value"].where(~shown["system"].isin(compared))
    axis = domain(shown.assign(low=within.fillna(shown["low"]), high=within.fillna(shown["high"])))
    return {
        f"scores_{condition}": titled(
            _dots(shown[shown["condition"] == heading(condition)], looks, axis),
            metric_parameter(),
            f" in per cent, {heading(condition)}",
        )
        for condition in SHOWN
    }


def differences(tests: pd.DataFrame, looks: Looks) -> Charts:
    """Draw the proposed system minus each other one, with 95 % intervals: one chart for each condition.

    Args:
        tests: other, condition, metric, difference, ci_low, ci_high. Rows without an interval are points.
        looks: system to look.
    """
    shown = pd.DataFrame(
        {
            "system": tests["other"].map({system: look.name for system, look in looks.items()}),
            "condition": tests["condition"].map(heading),
            METRIC: tests["metric"].str.upper(),
            "value": 100 * tests["difference"],
            "low": 100 * tests["ci_low"],
            "high": 100 * tests["ci_high"],
        }
    ).dropna(subset=["value"])
    if shown.empty:
        return {}
    low, high = domain(shown)
    axis = [min(low, 0), max(high, 0)]
    zero = alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(strokeDash=[4, 3]).encode(x="zero:Q")
    return {
        f"differences_{condition}": titled(
            zero + _dots(shown[shown["condition"] == heading(condition)], looks, axis),
            metric_parameter(),
            f" difference in points, {heading(condition)}",
        )
        for condition in (AVERAGE, *CONDITIONS)
    }


def recalls(table: pd.DataFrame, looks: Looks) -> Charts:
    """Draw the recall of each class, one chart for each; the page chooses the condition.

    Args:
        table: system, condition, class, recall in [0, 1].
        looks: system to look.
    """
    shown = named(table, looks).assign(condition=table["condition"].map(heading), value=100 * table["recall"])
    charts: Charts = {}
    for i, (name, part) in enumerate(shown.groupby("class", sort=False)):
        base = (
            alt.Chart(part[["system", "condition", "value"]])
            .transform_filter("datum.condition === recall_condition")
            .encode(
                x=alt.X("value:Q", title=None, scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=5)),
                y=rows(looks, part["system"]),
                tooltip=["system", "condition", number("value", "recall")],
            )
        )
        dots = base.mark_point(filled=True, size=75, opacity=1).encode(
            color=colours(looks), shape=symbols(looks)
        )
        parameter = alt.param("recall_condition", value=braces(CONDITIONS[0]))
        chart = dots.add_params(parameter).properties(height=ROW * len(looks))
        charts[f"recall_{i}"] = titled(chart, f"{name}: recall in per cent, ", parameter)
    return charts


def beside_paper(comparison: pd.DataFrame, looks: Looks, names: Mapping[str, str]) -> Charts:
    """Draw our scores (filled) and the paper's (open diamond), one row for each system of the paper.

    Args:
        comparison: system, condition, metric, ours, paper, difference; ours may be missing.
        looks: system to look.
        names: system to display name, also for systems that did not run.
    """
    if comparison.empty:
        return {}
    condition = select("paper_condition", "condition", [c for c in HEADINGS if c != braces(FULL)], AVERAGE)
    table = pd.DataFrame(
        {
            "system": comparison["system"].replace(dict(names)),
            "condition": comparison["condition"].map(heading),
            METRIC: comparison["metric"].str.upper(),
            **{name: 100 * comparison[name] for name in ("ours", "paper", "difference")},
        }
    )
    base = (
        alt.Chart(table)
        .transform_filter(f"datum.{METRIC} === {METRIC} && datum.condition === paper_condition")
        .encode(
            y=rows(looks, table["system"]),
            tooltip=["system", *(number(x) for x in ("ours", "paper", "difference"))],
        )
    )
    x: dict[str, Any] = {
        "title": "per cent; filled: ours, open: the paper",
        "scale": alt.Scale(zero=False, padding=12),
        "axis": alt.Axis(tickCount=8),
    }
    between = base.mark_rule(opacity=0.5).encode(x=alt.X("ours:Q", **x), x2="paper:Q")
    paper = base.mark_point(size=80, strokeWidth=2, shape="diamond", color="#808080").encode(x="paper:Q")
    ours = base.mark_point(size=80, filled=True, opacity=1).encode(x="ours:Q", color=colours(looks))
    chart: alt.LayerChart = (between + paper + ours).add_params(metric_parameter(), condition)
    chart = chart.properties(height=ROW * table["system"].nunique())
    return {"paper": titled(chart, metric_parameter(), " in per cent, ", condition)}


def runs(scores: pd.DataFrame, looks: Looks) -> Charts:
    """Draw the score of every run: one row for each system, the folds below each other.

    Args:
        scores: system, fold, seed, condition, wa, ua.
        looks: system to look.
    """
    available = set(scores["condition"].map(heading))
    condition = select("runs_condition", "condition", [c for c in HEADINGS if c in available], AVERAGE)
    long = scores.rename(columns={"wa": "WA", "ua": "UA"}).melt(
        ["system", "fold", "seed", "condition"], ["WA", "UA"], METRIC, "value"
    )
    shown = named(long, looks).assign(condition=long["condition"].map(heading), value=100 * long["value"])
    chart = (
        alt.Chart(shown)
        .transform_filter(f"datum.{METRIC} === {METRIC} && datum.condition === runs_condition")
        .mark_point(filled=True, size=50, opacity=0.8)
        .encode(
            x=alt.X(
                "value:Q",
                title="per cent",
                scale=alt.Scale(zero=False, padding=12),
                axis=alt.Axis(tickCount=8),
            ),
            y=rows(looks, shown["system"]),
            yOffset=alt.YOffset("fold:N"),
            color=colours(looks),
            tooltip=["system", "fold", "seed", number("value", "score")],
        )
        .add_params(metric_parameter(), condition)
        .properties(height=1.5 * ROW * len(looks))
    )
    return {"runs": titled(chart, metric_parameter(), " in per cent, ", condition)}


def _dots(table: pd.DataFrame, looks: Looks, axis: Sequence[float]) -> alt.LayerChart:
    """Draw values with their intervals: system, metric, value, low, high."""
    base = (
        alt.Chart(table)
        .transform_filter(f"datum.{METRIC} === {METRIC}")
        .encode(
            y=rows(looks, table["system"]),
            color=colours(looks),
            tooltip=["system", "condition", METRIC, *(number(x) for x in ("value", "low", "high"))],
        )
    )
    shared: dict[str, Any] = {
        "title": None,
        "scale": alt.Scale(domain=list(axis)),
        "axis": alt.Axis(tickCount=5),
    }
    intervals = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, clip=True)
    lines = intervals.encode(x=alt.X("low:Q", **shared), x2="high:Q")
    dots = base.mark_point(filled=True, size=75, opacity=1)
    points = dots.encode(x=alt.X("value:Q", **shared), shape=symbols(looks))
    height = ROW * table["system"].nunique()
    chart: alt.LayerChart = (lines + points).add_params(metric_parameter()).properties(height=height)
    return chart
