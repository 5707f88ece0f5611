"""What the charts of the page share: their configuration, encodings and selectors. No I/O.

Text and axes inherit the page's colour (light or dark theme); marks have colours that are visible on both.
The page sets the parameters without a selector of their own, such as METRIC, in all charts at once.
"""

import operator
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TypeVar

import altair as alt
import pandas as pd

from ifmmin.core.terms import METRICS
from ifmmin.report.palette import Look
from ifmmin.results.table1 import SHOWN, heading

Looks = Mapping[str, Look]
Chart = TypeVar("Chart", alt.Chart, alt.LayerChart)

INK = "currentColor"
METRIC = "metric"
"""Name of the parameter and of the column that hold UA or WA."""
HEADINGS = [heading(condition) for condition in SHOWN]
ROW = 24
"""Height of a row of a dot plot, in pixels."""
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
    "title": {"color": INK, "fontSize": 13, "anchor": "start"},
    "text": {"color": INK},
    "rule": {"color": INK},
}


def metric_parameter() -> alt.Parameter:
    """Return the parameter by which the page shows UA or WA."""
    return alt.param(METRIC, value="UA")


def named(table: pd.DataFrame, looks: Looks) -> pd.DataFrame:
    """Replace the systems of a table by their display names."""
    return table.assign(system=table["system"].map(lambda system: looks[system].name))


def by_metric(table: pd.DataFrame, looks: Looks) -> pd.DataFrame:
    """Stack UA and WA, in per cent, under display names.

    Args:
        table: system, condition, wa, ua, and their _low and _high.
        looks: system to look.

    Returns:
        system (display name), condition (heading), metric, value, low, high; rows without a value are left
        out.
    """
    parts = [
        pd.DataFrame(
            {
                "system": named(table, looks)["system"],
                "condition": table["condition"].map(heading),
                METRIC: metric.upper(),
                "value": 100 * table[metric],
                "low": 100 * table[f"{metric}_low"],
                "high": 100 * table[f"{metric}_high"],
            }
        )
        for metric in METRICS
    ]
    return pd.concat(parts).dropna(subset=["value"])


def domain(table: pd.DataFrame) -> list[float]:
    """Return the axis that just holds all values and intervals, in multiples of five."""
    values = table[["value", "low", "high"]]
    return [5 * (values.min().min() // 5), -5 * (-values.max().max() // 5)]


def rows(looks: Looks, present: Sequence[str] | pd.Series) -> alt.Y:
    """Encode systems as rows, in the order of Table 1; the proposed system is bold."""
    shown = set(present)
    names = [look.name for look in looks.values() if look.name in shown]
    [proposed] = [look.name for look in looks.values() if look.proposed]
    bold = {"condition": {"test": repr(alt.datum.value == proposed), "value": "bold"}, "value": "normal"}
    axis = alt.Axis(labelLimit=190, labelFontWeight=bold, ticks=False, domain=False)
    return alt.Y("system:N", sort=names, title=None, axis=axis)


def colours(looks: Looks, legend: bool = False) -> alt.Color:
    """Encode systems by their colours."""
    scale = alt.Scale(domain=[x.name for x in looks.values()], range=[x.colour for x in looks.values()])
    key = alt.Legend(symbolLimit=0, labelLimit=200, symbolOpacity=1) if legend else None
    return alt.Color("system:N", title=None, scale=scale, legend=key)


def widths(looks: Looks) -> alt.StrokeWidthValue:
    """Draw the line of the proposed system thicker."""
    [proposed] = [look.name for look in looks.values() if look.proposed]
    chosen = alt.condition(alt.datum.system == proposed, alt.value(3.5), alt.value(1.7))
    return alt.StrokeWidthValue(**chosen)


def symbols(looks: Looks) -> alt.Shape:
    """Encode systems by their symbols."""
    scale = alt.Scale(domain=[x.name for x in looks.values()], range=[x.symbol for x in looks.values()])
    return alt.Shape("system:N", scale=scale, legend=None)


def select(name: str, label: str, options: Sequence[str], value: str) -> alt.Parameter:
    """Build a drop-down menu; it starts with `value`, or with the first option if `value` is none of them."""
    start = value if value in options else next(iter(options), value)
    return alt.param(name, bind=alt.binding_select(options=list(options), name=f"{label} "), value=start)


def number(name: str, title: str | None = None, form: str = ".1f") -> alt.Tooltip:
    """Build the line of a tooltip for a number."""
    return alt.Tooltip(f"{name}:Q", format=form, title=title or name)


def titled(chart: Chart, *parts: str | alt.Parameter) -> Chart:
    """Give a chart a title. Parameters in it are shown by their present value, also in a saved file."""
    text = reduce(operator.add, parts)
    return chart.properties(
        title=alt.Title(text=text if isinstance(text, str) else alt.ExprRef(repr(text.expr)))
    )
