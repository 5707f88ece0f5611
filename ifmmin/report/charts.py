"""All charts of the page as Vega-Lite specifications. Tables in, specifications out; no I/O."""

from collections.abc import Iterator, Mapping
from typing import Any

import altair as alt
import pandas as pd

from ifmmin.core.terms import CONDITIONS, FULL, braces
from ifmmin.report import dots, lines, palette
from ifmmin.report.encodings import CONFIG, HEADINGS, ROW, Looks, named, number, select, titled
from ifmmin.results.table1 import heading

DESCRIPTIONS = {
    "scores": "Dot plot of the means of Table 1 in one condition, with intervals",
    "differences": "Dot plot of the proposed system minus each other one, with intervals",
    "recall": "Dot plot of the recall of one class",
    "paper": "Dot plot of our scores and the paper's, one row for each system",
    "confusion": "Confusion matrix of one system in one condition",
    "robustness": "Line chart of the score by missing rate, one line for each system",
    "curves": "Line chart of a loss or score over the epochs, one line for each system",
    "mechanism": "Dot plot of a measure of the mechanism, beside its reference",
    "fig3a": "Scatter plot of H' under the six conditions, embedded by t-SNE",
    "fig3b": "Line chart of L_inv over the epochs",
    "runs": "Dot plot of the score of every fold and seed, one row for each system",
}
NETWORKS = {
    "pretraining": "Pretraining",
    "pretraining_no_cmd": "Pretraining w/o L_cmd",
    "untrained": "Random weights",
}
SIDE = 300
"""Width and height of a panel of figure 3a, in pixels."""
MEASURES = {
    "probe": "Probe: modality from H or H' (chance: 1/3)",
    "rank_at": "Rank of own H of t given H of a (chance: 0.5)",
    "active_units": "Active units",
    "L_cmd_scale_free": "Scale-free L_cmd (without the loss: 1)",
    "R2": "R2 of H' for missing modalities (mean: 0)",
    "L_inv_missing": "L_inv, missing modalities (constant H': 1)",
}
SHARES = ("probe", "rank_at", "active_units")
"""Measures between 0 and 1."""
RELATIVE = ("L_cmd_scale_free", "L_inv_missing")
"""Measures shown as a multiple of their reference."""


def specifications(
    tables: Mapping[str, pd.DataFrame], looks: Looks, names: Mapping[str, str], *, figure_system: str
) -> dict[str, dict[str, Any]]:
    """Specify all charts.

    Args:
        tables: the tables of the stages aggregate, draw, robustness and measure, by name: table, scores,
            significance, confusion, recalls, comparison, curves, fig3a, fig3b, robustness, and mechanism,
            averaged over runs.
        looks: system to look, in the order of the charts.
        names: system to display name, also for systems that did not run.
        figure_system: the system shown in figures 3a and 3b.

    Returns:
        Chart name to Vega-Lite specification. The part of a name before "_" is in DESCRIPTIONS.
    """
    charts: dict[str, alt.Chart | alt.LayerChart] = {
        **dots.scores(tables["table"], looks),
        **dots.differences(tables["significance"], looks),
        **dots.recalls(tables["recalls"], looks),
        **dots.beside_paper(tables["comparison"], looks, names),
        "confusion": confusion(tables["confusion"], looks),
        **lines.robustness(tables["robustness"], looks),
        **lines.curves(tables["curves"], looks),
        **dict(mechanism(tables["mechanism"], networks(tables["mechanism"], looks), looks)),
        **dict(figure_3a(tables["fig3a"])),
        **lines.figure_3b(tables["fig3b"], looks[figure_system]),
        **dots.runs(tables["scores"], looks),
    }
    return {name: _specification(name, chart) for name, chart in charts.items()}


def _specification(name: str, chart: alt.Chart | alt.LayerChart) -> dict[str, Any]:
    """Convert a chart; it fits the page's width, except figure 3a, whose axes must be equal."""
    sized: Any = chart.properties(description=DESCRIPTIONS[name.split("_")[0]])
    if not name.startswith("fig3a"):
        fit = alt.AutoSizeParams(type="fit-x", contains="padding")
        sized = sized.properties(width="container", autosize=fit)
    # Altair checks each part when it is built. To check the whole again would take as long as all the rest.
    specification: dict[str, Any] = sized.configure(**CONFIG).to_dict(validate=False)
    return specification


def confusion(confusions: pd.DataFrame, looks: Looks) -> alt.LayerChart:
    """Draw the confusion matrix of one system and condition, normalised over the actual class.

    Args:
        confusions: system, condition, actual, predicted, count, share; classes in label order.
        looks: system to look, in the order of the selector.
    """
    classes = list(dict.fromkeys(confusions["actual"]))
    names = [look.name for look in looks.values()]
    proposed = next(look.name for look in looks.values() if look.proposed)
    table = named(confusions, looks).assign(condition=confusions["condition"].map(heading))
    available = set(table["condition"])
    system = select("confusion_system", "system", names, proposed)
    options = [c for c in HEADINGS if c in available]
    condition = select("confusion_condition", "condition", options, braces(FULL[0]))
    base = (
        alt.Chart(table)
        .transform_filter((alt.datum.system == system) & (alt.datum.condition == condition))
        .encode(
            x=alt.X("predicted:N", sort=classes, title="predicted", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("actual:N", sort=classes, title="actual"),
            tooltip=["actual", "predicted", "count", alt.Tooltip("share:Q", format=".1%")],
        )
    )
    cells = base.mark_rect(color=palette.ACCENT).encode(
        opacity=alt.Opacity("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.03, 0.75]))
    )
    labels = base.mark_text(fontSize=12).encode(text=alt.Text("share:Q", format=".0%"))
    chart: alt.LayerChart = (cells + labels).add_params(system, condition)
    return titled(chart.properties(height=48 * len(classes) + 40), system, ", ", condition)


def networks(table: pd.DataFrame, looks: Looks) -> dict[str, str]:
    """Name the networks of the mechanism table for readers, in its order."""
    names = NETWORKS | {system: look.name for system, look in looks.items()}
    return {name: names.get(name, name) for name in dict.fromkeys(table["network"])}


def mechanism(
    table: pd.DataFrame, networks: Mapping[str, str], looks: Looks
) -> Iterator[tuple[str, alt.LayerChart]]:
    """Draw each measure of the mechanism for each network, beside its chance level or control.

    Args:
        table: network, measure, condition, value, reference, averaged over folds and seeds.
        networks: network to display name, in the order of the rows.
        looks: system to look.
    """
    shown = table.assign(network=table["network"].map(networks))
    relative = shown["measure"].isin(RELATIVE)
    shown.loc[relative, "value"] /= shown.loc[relative, "reference"]
    shown.loc[relative, "reference"] = 1.0
    shown["condition"] = shown["condition"].map(heading)
    by_name = {look.name: look.colour for look in looks.values()}
    for measure, title in MEASURES.items():
        part = shown[shown["measure"] == measure].drop(columns="measure").dropna(subset=["value"])
        if part.empty:
            continue
        order = [name for name in dict.fromkeys(shown["network"]) if name in set(part["network"])]
        colours = [by_name.get(name, palette.REFERENCES[0]) for name in order]
        base = alt.Chart(part).encode(
            y=alt.Y("network:N", sort=order, title=None, axis=alt.Axis(labelLimit=190)),
            tooltip=["network", "condition", number("value", form=".3f"), number("reference", form=".3f")],
        )
        scale = alt.Scale(domain=[0, 1]) if measure in SHARES else alt.Scale(zero=False, padding=12)
        points = base.mark_point(size=60, filled=True, opacity=0.8).encode(
            x=alt.X("value:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5)),
            color=alt.Color("network:N", legend=None, scale=alt.Scale(domain=order, range=colours)),
        )
        reference = base.mark_tick(thickness=2, color="#808080", size=ROW - 6).encode(x="reference:Q")
        chart = (reference + points).properties(height=ROW * len(order))
        yield f"mechanism_{measure}", titled(chart, title)


def figure_3a(points: pd.DataFrame) -> Iterator[tuple[str, alt.Chart]]:
    """Draw figure 3a: H' embedded by t-SNE, by network and by condition or class, with equal axes.

    A click on the legend selects one condition or class; the wheel zooms.

    Args:
        points: network, utterance_id, condition, class, x, y.
    """
    points = points.assign(condition=points["condition"].map(heading))
    orders = {"condition": [braces(c) for c in CONDITIONS], "class": sorted(set(points["class"]))}
    for i, (network, part) in enumerate(points.groupby("network", sort=False)):
        for column, order in orders.items():
            picked = alt.selection_point(fields=[column], bind="legend", name=f"fig3a_{i}_{column}")
            colours = (palette.CONDITIONS if column == "condition" else palette.COMPARED)[: len(order)]
            scale = alt.Scale(domain=order, range=list(colours))
            chart = (
                alt.Chart(part.drop(columns="network"))
                .mark_point(size=28, filled=True)
                .encode(
                    x=alt.X("x:Q", title="t-SNE 1", scale=_equal(part, "x")),
                    y=alt.Y("y:Q", title="t-SNE 2", scale=_equal(part, "y")),
                    color=alt.Color(f"{column}:N", title=None, scale=scale, legend=alt.Legend(columns=3)),
                    opacity=alt.condition(picked, alt.value(0.8), alt.value(0.05)),
                    tooltip=["condition", "class", "utterance_id"],
                )
                .add_params(picked)
                .interactive()
                .properties(width=SIDE, height=SIDE)
            )
            yield f"fig3a_{i}_{column}", titled(chart, f"{network}, by {column}")


def _equal(points: pd.DataFrame, axis: str) -> alt.Scale:
    """Return an axis whose length is the larger of the two ranges, so that a unit is equally long on both."""
    spans = points[["x", "y"]].max() - points[["x", "y"]].min()
    middle, half = (points[axis].max() + points[axis].min()) / 2, 0.53 * max(spans.max(), 1e-6)
    return alt.Scale(domain=[float(middle - half), float(middle + half)], nice=False)
