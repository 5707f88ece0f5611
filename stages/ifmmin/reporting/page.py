"""The page itself: tables in, one HTML text out that needs no network and no other file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import vl_convert

from ifmmin.significance import LEVEL
from ifmmin.terms import AVERAGE, CONDITIONS, FULL, METRICS, braces

TEMPLATE = "page.html"
SHOWN = (AVERAGE, *CONDITIONS, FULL)


def html(
    tables: Mapping[str, pd.DataFrame],
    specifications: Mapping[str, Mapping[str, Any]],
    *,
    corpus: Mapping[str, Any],
    below: Sequence[str],
    facts: Mapping[str, str],
    compared: Mapping[str, Any],
    params: Mapping[str, Any],
) -> str:
    """Lay the page out.

    Args:
        tables: the tables of the stage aggregate, by name: table, significance, comparison.
        specifications: name of each chart to its Vega-Lite specification.
        corpus: name, synthetic, as corpus.json has them.
        below: what stands below Table 1.
        facts: what made the numbers: name to value.
        compared: the group comparison of params.yaml.
        params: dotted key of params.yaml to value.

    Returns:
        The page: scripts and styles are inside.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"signed": "{:+.4f}".format, "score": "{:.4f}".format}
    named = (compared["proposed"], *compared["baselines"], *compared["ablations"])
    beside = tables["comparison"]
    ours = beside[beside["system"] == compared["proposed"]]
    rows = list(_rows(tables["table"], tables["significance"]))
    return environment.get_template(TEMPLATE).render(
        bundle=_scripts(),
        specifications=specifications,
        corpus=corpus,
        below=below,
        facts=facts,
        params=params,
        proposed=compared["proposed"],
        heads=[_head(condition) for condition in SHOWN],
        compared=[row for row in rows if row["system"] in named],
        references=[row for row in rows if row["system"] not in named],
        held=any(cell["held"] for row in rows for cell in row["cells"]),
        untested=_untested(tables["significance"]),
        tests=list(_tests(tables["significance"])),
        comparison=beside.replace({float("nan"): None}).to_dict("records"),
        paper_note=" ".join(f"{note.capitalize()}." for note in dict.fromkeys(ours["note"]) if note),
        head=_head,
    )


def pinned(requirements: str) -> dict[str, str]:
    """Read the exact versions of a requirements file, those of its first part: what runs, not what tests."""
    running = requirements.partition("# Development")[0]
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", running, re.MULTILINE))


def plain(value: object) -> str:
    """Print a value without brackets: lists by commas, groups as key and value."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _scripts() -> str:
    """Vega, Vega-Lite and Vega-Embed in one text, safe inside a script element."""
    # None is its default; its type says text.
    bundle: str = vl_convert.javascript_bundle(None)  # type: ignore[arg-type]
    return bundle.replace("</script", "<\\/script")


def _rows(table: pd.DataFrame, tests: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """One line of Table 1 after the other: its cells in the order of the heads, WA before UA."""
    held = {
        (other, condition, metric)
        for other, condition, metric, p in tests[["other", "condition", "metric", "p_holm"]].itertuples(
            index=False
        )
        if p < LEVEL
    }
    for system, lines in table.groupby("system", sort=False):
        by_condition = lines.set_index("condition").to_dict("index")
        yield {
            "system": system,
            "n_folds": lines["n_folds"].max(),
            "n_seeds": lines["n_seeds"].max(),
            "cells": [
                {
                    "condition": condition,
                    "metric": metric,
                    "value": None
                    if pd.isna(by_condition[condition][metric])
                    else by_condition[condition][metric],
                    "marks": by_condition[condition][f"{metric}_marks"],
                    "spread": by_condition[condition][f"{metric}_std"],
                    "held": (system, condition, metric) in held,
                }
                for condition in SHOWN
                for metric in METRICS
            ],
        }


def _tests(tests: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The proposed system against each other one, a line for each metric."""
    for (other, metric), lines in tests.groupby(["other", "metric"], sort=False):
        by_condition = lines.set_index("condition").to_dict("index")
        yield {
            "other": other,
            "metric": metric,
            "cells": [by_condition[condition] for condition in (AVERAGE, *CONDITIONS)],
        }


def _untested(tests: pd.DataFrame) -> list[str]:
    """Why differences have no test; nothing where all have one."""
    notes: list[str] = tests.loc[tests["p"].isna(), "note"].unique().tolist()
    return notes


def _head(condition: str) -> str:
    return "Average" if condition == AVERAGE else braces(condition)
