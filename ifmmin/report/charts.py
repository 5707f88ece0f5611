"""Charts of the report page as Vega-Lite specifications. Tables in, specifications out; no I/O.

Text and axes inherit the page's colour (light or dark theme); marks have colours that are visible on both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from ifmmin.core.terms import AVERAGE, CONDITIONS, FULL, METRICS, braces
from ifmmin.report.figures import REFERENCES
from ifmmin.results.table1 import SHOWN, heading

PALETTE = ("#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#c9a227", "#b279a2", "#9d755d", "#8a8a8a")
ORDER = [heading(condition) for condition in SHOWN]
QUANTITIES = {
    "L": "L, training",
    "validation_L_cls": "L_cls, validation",
    "validation_ua": "UA, validation",
}

DESCRIPTIONS = {
    "bars": "Bar chart of the means of Table 1, by condition and system, with whiskers",
    "paper": "Dot plot of our scores and the paper's, one row for each system",
    "confusion": "Confusion matrix of one system in one condition",
    "curves": "Line chart of a loss or score over the epochs, one line for each system",
    "fig3a": "Scatter plot of H' under the six conditions, embedded by t-SNE",
    "fig3b": "Line chart of L_inv over the epochs",
    "runs": "Dot plot of the score of every fold and seed, one row for each system",
}
INK = "currentColor"
CONFIG = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": "transparent"},
    "axis": {
        **dict.fromkeys(("labelColor", "titleColor", "domainColor", "tickColor", "gridColor"), INK),
        "gridOpacity": 0.15,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "orient": "bottom", "columns": 2},
    "text": {"color": INK},
    "rule": {"color": INK},
}


def specifications(
    tables: Mapping[str, pd.DataFrame], *, systems: Sequence[str], figure_system: str
) -> dict[str, dict[str, Any]]:
    """Specify all charts.

    Args:
        tables: the tables of the stages aggregate and draw, by name: table, scores, confusion, comparison,
            curves, fig3a, fig3b.
        systems: rows of Table 1, in its order.
        figure_system: the system shown in figures 3a and 3b.

    Returns:
        Chart name to Vega-Lite specification.
    """
    shown = {
        name: table.assign(condition=table["condition"].map(heading)) if "condition" in table else table
        for name, table in tables.items()
    }
    charts = {
        "bars": bars(shown["table"], systems),
        "paper": beside_paper(shown["comparison"], systems),
        "confusion": confusion(shown["confusion"], systems),
        "curves": curves(shown["curves"], systems),
        "fig3a": figure_3a(shown["fig3a"]),
        "fig3b": figure_3b(shown["fig3b"], figure_system),
        "runs": runs(shown["scores"], systems),
    }
    return {
        name: chart.properties(
            description=DESCRIPTIONS[name],
            width="container",
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
        .configure(**CONFIG)
        .to_dict()
        for name, chart in charts.items()
    }


def bars(table: pd.DataFrame, systems: Sequence[str]) -> alt.LayerChart:
    """Draw the means of Table 1 as bars, grouped by condition; whiskers show their intervals.

    Args:
        table: system, condition, and wa and ua with their _std, _low and _high. Without an interval,
            the whisker is one standard deviation to each side.
        systems: in the order of the bars.
    """
    parts = []
    for metric in METRICS:
        mean, std = table[metric], table[f"{metric}_std"].fillna(0)
        low, high = (table[f"{metric}_{end}"] for end in ("low", "high"))
        parts.append(
            table[["system", "condition"]].assign(
                metric=metric.upper(),
                mean=mean,
                low=low.fillna(mean - std).clip(0, 1),
                high=high.fillna(mean + std).clip(0, 1),
            )
        )
    chosen = _select("metric", "metric", [m.upper() for m in METRICS], "UA")
    picked = alt.selection_point(fields=["system"], bind="legend", name="bars_system")
    base = (
        alt.Chart(pd.concat(parts).dropna(subset=["mean"]))
        .transform_filter(alt.datum.metric == chosen)
        .encode(
            x=alt.X("condition:N", sort=ORDER, title=None, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("system:N", sort=list(systems)),
            opacity=alt.condition(picked, alt.value(1), alt.value(0.12)),
            tooltip=["system", "condition", "metric", *(_number(x) for x in ("mean", "low", "high"))],
        )
    )
    columns = base.mark_bar().encode(
        y=alt.Y("mean:Q", title=None, scale=alt.Scale(domain=[0, 1])), color=_by_system(systems)
    )
    whiskers = base.mark_rule(strokeWidth=1).encode(y="low:Q", y2="high:Q")
    return (columns + whiskers).add_params(chosen, picked).properties(height=300)


def beside_paper(comparison: pd.DataFrame, systems: Sequence[str]) -> alt.LayerChart:
    """Draw our scores (circle) and the paper's (diamond), one row for each system.

    Args:
        comparison: system, condition, metric, ours, paper, difference; ours may be missing.
        systems: in the order of the rows.
    """
    metric = _select("paper_metric", "metric", [m.upper() for m in METRICS], "UA")
    condition = _select("paper_condition", "condition", [c for c in ORDER if c != braces(FULL)], AVERAGE)
    table = comparison.drop(columns="note").assign(metric=comparison["metric"].str.upper())
    order = [system for system in systems if system in set(table["system"])]
    base = (
        alt.Chart(table)
        .transform_filter((alt.datum.metric == metric) & (alt.datum.condition == condition))
        .encode(
            y=alt.Y("system:N", sort=order, title=None, axis=alt.Axis(labelLimit=160)),
            tooltip=["system", *(_number(x) for x in ("ours", "paper", "difference"))],
        )
    )
    between = base.mark_rule(opacity=0.5).encode(x="ours:Q", x2="paper:Q")
    points = (
        base.transform_fold(["ours", "paper"], as_=["whose", "score"])
        .mark_point(size=80, strokeWidth=2)
        .encode(
            x=alt.X(
                "score:Q", title=None, scale=alt.Scale(zero=False, padding=8), axis=alt.Axis(tickCount=6)
            ),
            color=alt.Color(
                "whose:N", title=None, scale=alt.Scale(domain=["ours", "paper"], range=PALETTE[:2])
            ),
            shape=alt.Shape(
                "whose:N", title=None, scale=alt.Scale(domain=["ours", "paper"], range=["circle", "diamond"])
            ),
        )
    )
    return (between + points).add_params(metric, condition).properties(height=30 * max(len(order), 1))


def confusion(confusions: pd.DataFrame, systems: Sequence[str]) -> alt.LayerChart:
    """Draw the confusion matrix of one system and condition, normalised over the actual class.

    Args:
        confusions: system, condition, actual, predicted, count, share; classes in label order.
        systems: in the order of the selector.
    """
    classes = list(dict.fromkeys(confusions["actual"]))
    available = set(confusions["condition"])
    system = _select("confusion_system", "system", systems, systems[0])
    options = [c for c in ORDER if c in available]
    condition = _select("confusion_condition", "condition", options, braces(FULL[0]))
    base = (
        alt.Chart(confusions)
        .transform_filter((alt.datum.system == system) & (alt.datum.condition == condition))
        .encode(
            x=alt.X("predicted:N", sort=classes, title="predicted", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("actual:N", sort=classes, title="actual"),
            tooltip=["actual", "predicted", "count", alt.Tooltip("share:Q", format=".1%")],
        )
    )
    cells = base.mark_rect(color=PALETTE[0]).encode(
        opacity=alt.Opacity("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.03, 0.9]))
    )
    labels = base.mark_text(fontSize=12).encode(text=alt.Text("share:Q", format=".0%"))
    return (cells + labels).add_params(system, condition).properties(height=48 * len(classes) + 40)


def curves(means: pd.DataFrame, systems: Sequence[str]) -> alt.Chart:
    """Draw losses and validation UA over the epochs, averaged over folds and seeds.

    Args:
        means: system, epoch and the columns named in QUANTITIES.
        systems: in the order of the legend.
    """
    quantity = _select("quantity", "quantity", list(QUANTITIES.values()), "UA, validation")
    picked = alt.selection_point(fields=["system"], bind="legend", name="curves_system")
    long = means.rename(columns=QUANTITIES).melt(
        ["system", "epoch"], list(QUANTITIES.values()), "quantity", "value"
    )
    return (
        alt.Chart(long.dropna())
        .transform_filter(alt.datum.quantity == quantity)
        .mark_line(point=True)
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
            color=_by_system(systems),
            opacity=alt.condition(picked, alt.value(1), alt.value(0.1)),
            tooltip=["system", "epoch", _number("value")],
        )
        .add_params(quantity, picked)
        .properties(height=280)
    )


def figure_3a(points: pd.DataFrame) -> alt.Chart:
    """Draw figure 3a: H' embedded by t-SNE. A click on the legend selects one condition; the wheel zooms.

    Args:
        points: network, utterance_id, condition, class, x, y.
    """
    picked = alt.selection_point(fields=["condition"], bind="legend", name="fig3a_condition")
    networks = list(dict.fromkeys(points["network"]))
    network = _select("fig3a_network", "network", networks, networks[0])
    return (
        alt.Chart(points)
        .transform_filter(alt.datum.network == network)
        .mark_point(size=35, filled=True)
        .encode(
            x=alt.X("x:Q", title="t-SNE 1"),
            y=alt.Y("y:Q", title="t-SNE 2"),
            color=alt.Color(
                "condition:N",
                title=None,
                scale=alt.Scale(domain=[braces(c) for c in CONDITIONS], range=PALETTE[:6]),
            ),
            opacity=alt.condition(picked, alt.value(0.8), alt.value(0.05)),
            shape=alt.Shape("class:N", title=None),
            tooltip=["condition", "class", "utterance_id"],
        )
        .add_params(network, picked)
        .interactive()
        .properties(height=420)
    )


def figure_3b(lines: pd.DataFrame, system: str) -> alt.LayerChart:
    """Draw figure 3b: L_inv of each run over the epochs, and their mean.

    Args:
        lines: fold, seed, epoch, L_inv.
        system: the system, for the axis title.
    """
    run = lines["fold"].astype(str) + ", seed " + lines["seed"].astype(str)
    base = alt.Chart(lines.assign(run="fold " + run)).encode(
        x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d"))
    )
    each = base.mark_line(strokeWidth=1, opacity=0.4, color=PALETTE[0]).encode(
        y=alt.Y("L_inv:Q", title=f"L_inv of {system}: distance of H' from H"),
        detail="run:N",
        tooltip=["run", "epoch", _number("L_inv")],
    )
    mean = base.mark_line(strokeWidth=3, color=PALETTE[0], point={"color": PALETTE[0]}).encode(
        y="mean(L_inv):Q", tooltip=["epoch", alt.Tooltip("mean(L_inv):Q", format=".4f", title="mean")]
    )
    references = [column for column in REFERENCES if column in lines]
    means = lines[references].mean().rename(REFERENCES).rename_axis("reference").reset_index(name="L_inv")
    rules = alt.Chart(means).mark_rule(strokeDash=[5, 4], color="#777777")
    compared = rules.encode(y="L_inv:Q", tooltip=["reference", _number("L_inv")])
    return (each + mean + compared).properties(height=280)


def runs(scores: pd.DataFrame, systems: Sequence[str]) -> alt.Chart:
    """Draw the score of every run: one row for each system, colour for the fold, shape for the seed.

    Args:
        scores: system, fold, seed, condition, wa, ua.
        systems: in the order of the rows.
    """
    metric = _select("runs_metric", "metric", [m.upper() for m in METRICS], "UA")
    available = set(scores["condition"])
    condition = _select("runs_condition", "condition", [c for c in ORDER if c in available], AVERAGE)
    long = scores.rename(columns={m: m.upper() for m in METRICS}).melt(
        ["system", "fold", "seed", "condition"], [m.upper() for m in METRICS], "metric", "score"
    )
    return (
        alt.Chart(long)
        .transform_filter((alt.datum.metric == metric) & (alt.datum.condition == condition))
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(
            x=alt.X(
                "score:Q", title=None, scale=alt.Scale(zero=False, padding=8), axis=alt.Axis(tickCount=6)
            ),
            y=alt.Y("system:N", sort=list(systems), title=None, axis=alt.Axis(labelLimit=160)),
            yOffset=alt.YOffset("fold:N"),
            color=alt.Color("fold:N", title="fold", scale=alt.Scale(scheme="tableau20")),
            shape=alt.Shape("seed:N", title="seed"),
            tooltip=["system", "fold", "seed", _number("score")],
        )
        .add_params(metric, condition)
        .properties(height=46 * len(systems))
    )


def _select(name: str, label: str, options: Sequence[str], value: str) -> alt.Parameter:
    """Build a drop-down menu; it starts with `value`, or with the first option if `value` is none of them."""
    start = value if value in options else next(iter(options), value)
    return alt.param(name, bind=alt.binding_select(options=list(options), name=f"{label} "), value=start)


def _by_system(systems: Sequence[str]) -> alt.Color:
    """Colour by system, with the same colours in every chart."""
    colours = [PALETTE[i % len(PALETTE)] for i in range(len(systems))]
    return alt.Color(
        "system:N", title=None, sort=list(systems), scale=alt.Scale(domain=list(systems), range=colours)
    )


def _number(name: str) -> alt.Tooltip:
    return alt.Tooltip(f"{name}:Q", format=".4f")
