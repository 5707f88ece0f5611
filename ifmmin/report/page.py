"""The report page, metrics/report.html: one self-contained HTML text, built from tables.

It holds no date, host or path, so equal results give equal bytes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import vl_convert

from ifmmin.core.terms import AVERAGE, CONDITIONS, FULL, METRICS
from ifmmin.results import mechanism
from ifmmin.results.significance import LEVEL
from ifmmin.results.table1 import SHOWN, heading

TEMPLATE = "page.html"
NETWORKS = {
    "pretraining": "Pretraining",
    "pretraining_no_cmd": "Pretraining w/o L_cmd",
    "untrained": "Random weights",
}
MEASURES = {
    "active_units": "Active units of H; in brackets: with random weights",
    "probe": "Accuracy of a linear classifier that tells the modality from H (chance 1/3)",
    "rank_at": "Rank of an utterance's own H of t by distance from its H of a (chance 0.5)",
    "L_cmd_plain": "L_cmd, plain; in brackets: pretraining without the loss",
    "L_cmd_scale_free": "L_cmd, scale-free; in brackets: pretraining without the loss",
    "R2": "R2 of the missing modalities' H, predicted by H' (constant: 0)",
    "L_inv_available": "L_inv of available modalities; in brackets: of a constant H'",
    "L_inv_missing": "L_inv of missing modalities; in brackets: of a constant H'",
    "L_inv_all": "L_inv of all modalities; in brackets: of a constant H'",
}
IN_BRACKETS = ("active_units", "L_cmd", "L_inv")
"""Measures whose reference differs between networks and is shown."""


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
    """Render the page.

    Args:
        tables: the tables by name: table, significance and comparison of aggregate, mechanism of measure.
        specifications: chart name to Vega-Lite specification.
        corpus: name, classes and synthetic, as in corpus.json.
        below: notes below Table 1.
        facts: settings and versions behind the results: name to value.
        compared: the group comparison of params.yaml.
        params: dotted key of params.yaml to value.

    Returns:
        The HTML, with all scripts and styles embedded.
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
    comparison = tables["comparison"]
    ours = comparison[comparison["system"] == compared["proposed"]]
    rows = list(_rows(tables["table"], tables["significance"]))
    return environment.get_template(TEMPLATE).render(
        bundle=_scripts(),
        specifications=specifications,
        corpus=corpus,
        below=below,
        facts=facts,
        params=params,
        proposed=compared["proposed"],
        heads=[_title(condition) for condition in SHOWN],
        compared=[row for row in rows if row["system"] in named],
        references=[row for row in rows if row["system"] not in named],
        significant=any(cell["significant"] for row in rows for cell in row["cells"]),
        untested=_untested(tables["significance"]),
        tests=list(_tests(tables["significance"])),
        mechanism=list(_mechanism(tables["mechanism"])),
        networks=[NETWORKS.get(name, name) for name in dict.fromkeys(tables["mechanism"]["network"])],
        comparison=comparison.replace({float("nan"): None}).to_dict("records"),
        paper_note=" ".join(f"{note.capitalize()}." for note in dict.fromkeys(ours["note"]) if note),
        head=_title,
    )


def pinned(requirements: str) -> dict[str, str]:
    """Read the exact versions of a requirements file, up to its section "# Development"."""
    runtime = requirements.partition("# Development")[0]
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", runtime, re.MULTILINE))


def plain(value: object) -> str:
    """Format a value without brackets: lists separated by commas, mappings as key and value."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _scripts() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, escaped for a script element."""
    # The default is None, although the annotation says str.
    bundle: str = vl_convert.javascript_bundle(None)  # type: ignore[arg-type]
    return bundle.replace("</script", "<\\/script")


def _rows(table: pd.DataFrame, tests: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of Table 1; cells in the order of the column headings, WA before UA."""
    significant = {
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
                    "std": by_condition[condition][f"{metric}_std"],
                    "significant": (system, condition, metric) in significant,
                }
                for condition in SHOWN
                for metric in METRICS
            ],
        }


def _tests(tests: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the tests of the proposed system against each other system, one row for each metric."""
    for (other, metric), lines in tests.groupby(["other", "metric"], sort=False):
        by_condition = lines.set_index("condition").to_dict("index")
        yield {
            "other": other,
            "metric": metric,
            "cells": [by_condition[condition] for condition in (AVERAGE, *CONDITIONS)],
        }


def _mechanism(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the measures of the mechanism, averaged over runs: one row for each measure and condition."""
    summary = mechanism.summary(table)
    networks = list(dict.fromkeys(summary["network"]))
    for key, lines in summary.groupby(["measure", "condition"], sort=False):
        measure, condition = map(str, key)
        by_network = lines.set_index("network").to_dict("index")
        yield {
            "measure": MEASURES[measure],
            "condition": "" if condition in ("six", FULL) else heading(condition),
            "cells": [by_network.get(network) for network in networks],
            "bracketed": measure.startswith(IN_BRACKETS),
        }


def _untested(tests: pd.DataFrame) -> list[str]:
    """List the reasons why differences have no test; empty if all are tested."""
    notes: list[str] = tests.loc[tests["p"].isna(), "note"].unique().tolist()
    return notes


def _title(condition: str) -> str:
    return heading(condition).capitalize()
