"""Line plots of the page: training curves, robustness, figure 3b. Tables in, charts by name out; no I/O."""

from collections.abc import Mapping
from typing import Any, Literal

import altair as alt
import pandas as pd

from ifmmin.report.encodings import (
    INK,
    METRIC,
    Looks,
    colours,
    domain,
    metric_parameter,
    named,
    number,
    titled,
    widths,
)
from ifmmin.report.figures import REFERENCES, VALIDATION, missing_rates
from ifmmin.report.palette import Look

Charts = dict[str, alt.Chart | alt.LayerChart]

EPOCH = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d"))
QUANTITIES = {
    "L": "L, training",
    "validation_L_cls": "L_cls, validation",
    "validation_ua": "UA in per cent, validation",
}
MISSING = {"modalities": "missing modalities", "frames": "missing frames of all modalities"}


def curves(means: pd.DataFrame, looks: Looks) -> Charts:
    """Draw losses and validation UA over the epochs, averaged over folds and seeds: one chart for each.

    Args:
        means: system, epoch, chosen (share of the runs that keep the weights of this epoch) and the columns
            of QUANTITIES.
        looks: system to look.
    """
    picked = _picked("curves_system")
    charts = {}
    for column, title in QUANTITIES.items():
        table = means[["system", "epoch", "chosen"]].assign(value=means[column]).dropna(subset=["value"])
        table["value"] *= 100 if column == "validation_ua" else 1
        base = alt.Chart(named(table, looks)).encode(
            x=EPOCH,
            y=alt.Y("value:Q", title=title, scale=_scale(column, table["value"])),
            color=colours(looks, legend=True),
            opacity=alt.condition(picked, alt.value(1), alt.value(0.1)),
            tooltip=["system", "epoch", number("value", title, ".3f"), number("chosen", "chosen by", ".0%")],
        )
        size = alt.Size("chosen:Q", scale=alt.Scale(domain=[0, 1], range=[30, 140]), legend=None)
        dots = base.transform_filter(alt.datum.chosen > 0).mark_point(filled=True).encode(size=size)
        charts[f"curves_{column}"] = (
            (base.mark_line().encode(strokeWidth=widths(looks)) + dots)
            .add_params(picked)
            .properties(height=260)
        )
    return charts


def robustness(table: pd.DataFrame, looks: Looks) -> Charts:
    """Draw WA and UA by the rate of missing modalities and of missing frames, one chart for each.

    Args:
        table: system, missing, condition, missing_rate, wa, ua, wa_std, ua_std. Bands are one standard
            deviation over the runs to each side.
        looks: system to look.
    """
    shown = missing_rates(table)
    parts = [
        named(shown[["system", "missing", "missing_rate"]], looks).assign(
            metric=metric.upper(),
            value=100 * shown[metric],
            low=100 * (shown[metric] - shown[f"{metric}_std"].fillna(0)),
            high=100 * (shown[metric] + shown[f"{metric}_std"].fillna(0)),
        )
        for metric in ("wa", "ua")
    ]
    long = pd.concat(parts)
    scale, picked = (
        alt.Scale(domain=domain(long.assign(low=long["value"], high=long["value"]))),
        _picked("robustness_system"),
    )
    charts = {}
    for missing, title in MISSING.items():
        base = (
            alt.Chart(long[long["missing"] == missing])
            .transform_filter(f"datum.{METRIC} === {METRIC}")
            .encode(
                x=alt.X("missing_rate:Q", title=f"rate of {title}", axis=alt.Axis(format=".0%")),
                color=colours(looks, legend=True),
                tooltip=[
                    "system",
                    number("missing_rate", "rate", ".0%"),
                    *(number(x) for x in ("value", "low", "high")),
                ],
            )
        )
        y = alt.Y("value:Q", title="per cent", scale=scale)
        faint = alt.condition(picked, alt.value(0.1), alt.value(0))
        band = base.mark_area(clip=True).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q", opacity=faint)
        strong = alt.condition(picked, alt.value(1), alt.value(0.1))
        line = base.mark_line(point=True).encode(y=y, opacity=strong, strokeWidth=widths(looks))
        chart = (band + line).add_params(picked, metric_parameter()).properties(height=300)
        charts[f"robustness_{missing}"] = titled(chart, metric_parameter(), f" by rate of {title}")
    return charts


def figure_3b(lines: pd.DataFrame, look: Look) -> Charts:
    """Draw figure 3b: L_inv of each run over the epochs, their mean, and what it is compared with.

    Args:
        lines: fold, seed, epoch, L_inv, and those of VALIDATION and REFERENCES that the history has.
        look: how the system looks.
    """
    last = lines["epoch"].max()
    run = "fold " + lines["fold"].astype(str) + ", seed " + lines["seed"].astype(str)
    base = alt.Chart(lines.assign(run=run)).encode(x=EPOCH)
    y = alt.Y("L_inv:Q", title=f"L_inv of {look.name}: distance of H' from H", scale=alt.Scale(zero=True))
    each = base.mark_line(strokeWidth=1, opacity=0.35, color=look.colour).encode(
        y=y, detail="run:N", tooltip=["run", "epoch", number("L_inv", form=".4f")]
    )
    labels = {"L_inv": ("training", look.colour, -8), VALIDATION: ("validation", INK, 14)}
    means = lines.groupby("epoch")[[column for column in labels if column in lines]].mean().reset_index()
    drawn = [each]
    for column, (label, colour, above) in labels.items():
        if column in means:
            table = means[["epoch"]].assign(value=means[column], label=label)
            drawn += _labelled(table, {"strokeWidth": 2.5, "color": colour}, "right", last, above)
    for (column, label), above in zip(REFERENCES.items(), (-8, 14), strict=True):
        if column in lines:
            table = means[["epoch"]].assign(value=lines[column].mean(), label=label)
            dashed = {"strokeWidth": 2, "color": "#808080", "strokeDash": [5, 4]}
            drawn += _labelled(table, dashed, "left", means["epoch"].min(), above)
    chart: alt.LayerChart = alt.LayerChart(layer=drawn).properties(height=320)
    return {"fig3b": chart}


def _labelled(
    table: pd.DataFrame, style: Mapping[str, Any], align: Literal["left", "right"], epoch: int, dy: int
) -> list[alt.Chart]:
    """Draw a line with its label beside one epoch: epoch, value, label."""
    base = alt.Chart(table).encode(x=EPOCH, y="value:Q", tooltip=["label", number("value", form=".4f")])
    text = base.transform_filter(f"datum.epoch === {epoch}").encode(text="label:N")
    return [base.mark_line(**style), text.mark_text(align=align, dy=dy, fontSize=12)]


def _scale(column: str, values: pd.Series) -> alt.Scale:
    """Choose the axis: logarithmic for the training loss, which can fall by a factor of a million."""
    return alt.Scale(type="log") if column == "L" and (values > 0).all() else alt.Scale(zero=False)


def _picked(name: str) -> alt.Parameter:
    return alt.selection_point(fields=["system"], bind="legend", name=name)
