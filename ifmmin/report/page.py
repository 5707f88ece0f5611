"""The report page, metrics/report.html: one self-contained HTML text, built from tables.

It holds no date, host, path or commit, so equal results give equal bytes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import vl_convert

from ifmmin.core.terms import AVERAGE, CONDITIONS, FULL
from ifmmin.report import charts, downloads
from ifmmin.report.encodings import Looks
from ifmmin.report.printed import SCORES
from ifmmin.results.significance import LEVEL, is_primary
from ifmmin.results.table1 import SHOWN, heading

TEMPLATE = "page.html"
NO_COMMIT = "omitted; `ifmmin results --format html` includes it"
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
SAVED = {
    "table": "table1",
    "significance": "differences",
    "comparison": "comparison",
    "recalls": "recalls",
    "robustness": "robustness",
    "mechanism": "mechanism",
    "scores": "runs",
}
"""Tables that the page saves, and the name of the file."""


def html(
    tables: Mapping[str, pd.DataFrame],
    specifications: Mapping[str, Mapping[str, Any]],
    *,
    looks: Looks,
    names: Mapping[str, str],
    corpus: Mapping[str, Any],
    findings: Sequence[str],
    below: Sequence[str],
    facts: Mapping[str, str],
    params: Mapping[str, Any],
) -> str:
    """Render the page.

    Args:
        tables: table, significance, comparison, recalls and scores of aggregate, robustness, and mechanism
            averaged over runs.
        specifications: chart name to Vega-Lite specification.
        looks: system to look, in the order of the table.
        names: system to display name, also for systems that did not run.
        corpus: name, classes and synthetic, as in corpus.json.
        findings: what the table shows, in sentences.
        below: notes below Table 1.
        facts: settings and versions behind the results: name to value.
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
    environment.filters |= {"signed": "{:+.1f}".format, "score": "{:.1f}".format}
    tests, comparison = tables["significance"], tables["comparison"]
    rows = {metric: list(_rows(tables, looks, metric, plain=corpus["synthetic"])) for metric in SCORES}
    saved = {SAVED[name]: table for name, table in tables.items() if name in SAVED}
    return environment.get_template(TEMPLATE).render(
        bundle=_scripts(),
        specifications=specifications,
        groups=_grouped(specifications),
        downloads=downloads.texts(saved, names, looks, synthetic=corpus["synthetic"], below=below),
        corpus=corpus,
        names=names,
        findings=findings,
        below=below,
        facts=facts,
        params=params,
        proposed=next(look.name for look in looks.values() if look.proposed),
        heads=[_title(condition) for condition in SHOWN],
        rows=rows,
        significant=any(
            cell["significant"] for cells in rows.values() for row in cells for cell in row["cells"]
        ),
        tests={metric: list(_tests(tests, names, metric)) for metric in SCORES},
        mechanism=list(_mechanism(tables["mechanism"])),
        networks=charts.networks(tables["mechanism"], looks).values(),
        comparison=comparison.replace({float("nan"): None}).to_dict("records"),
        paper_note=" ".join(
            f"{note[0].upper()}{note[1:]}." for note in dict.fromkeys(comparison["note"]) if note
        ),
        head=_title,
    )


def pinned(requirements: str) -> dict[str, str]:
    """Read the exact versions of a requirements file."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", requirements, re.MULTILINE))


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


def _grouped(specifications: Mapping[str, Any]) -> dict[str, list[str]]:
    """Group the charts by the part of their names before "_"."""
    groups: dict[str, list[str]] = {}
    for name in specifications:
        groups.setdefault(name.split("_")[0], []).append(name)
    return groups


def _rows(
    tables: Mapping[str, pd.DataFrame], looks: Looks, metric: str, *, plain: bool
) -> Iterator[dict[str, Any]]:
    """Yield the rows of Table 1 for one metric, in per cent, each with its runs.

    Args:
        tables: table, significance and scores.
        looks: system to look.
        metric: ua or wa.
        plain: without marks and bold, as systems are not compared.
    """
    table, tests = tables["table"], tables["significance"]
    compared = [system for system, look in looks.items() if not look.reference]
    best = table[table["system"].isin(compared)].groupby("condition")[metric].max()
    primary = tests[is_primary(tests) & (tests["metric"] == metric)]
    differs = set() if plain else set(primary.loc[primary["p_holm"] < LEVEL, "other"])
    by_system = dict(iter(table.groupby("system")))
    for system, look in looks.items():
        by_condition = by_system[system].set_index("condition").to_dict("index")
        yield {
            "system": system,
            "look": look,
            "n_folds": by_system[system]["n_folds"].max(),
            "n_seeds": by_system[system]["n_seeds"].max(),
            "cells": [
                {
                    "condition": condition,
                    "value": _percent(by_condition[condition][metric]),
                    "std": _percent(by_condition[condition][f"{metric}_std"]),
                    "marks": "" if plain else by_condition[condition][f"{metric}_marks"],
                    "best": not plain
                    and not look.reference
                    and by_condition[condition][metric] == best[condition],
                    "significant": condition == AVERAGE and system in differs,
                }
                for condition in SHOWN
            ],
            "runs": list(_runs(tables["scores"], system, metric)),
        }


def _runs(scores: pd.DataFrame, system: str, metric: str) -> Iterator[dict[str, Any]]:
    """Yield the runs of a system: fold, seed and the scores, in per cent."""
    for (fold, seed), run in scores[scores["system"] == system].groupby(["fold", "seed"]):
        by_condition = run.set_index("condition")[metric]
        cells = [_percent(by_condition.get(condition)) for condition in SHOWN]
        yield {"fold": fold, "seed": seed, "cells": cells}


def _percent(value: float | None) -> float | None:
    return None if pd.isna(value) else 100 * value


def _tests(tests: pd.DataFrame, names: Mapping[str, str], metric: str) -> Iterator[dict[str, Any]]:
    """Yield the differences of the proposed system from each other system, in points."""
    points = ["difference", "ci_low", "ci_high", "detectable"]
    shown = tests[tests["metric"] == metric]
    shown = shown.assign(**{name: 100 * shown[name] for name in points})
    for other, lines in shown.groupby("other", sort=False):
        by_condition = lines.set_index("condition").to_dict("index")
        cells = [by_condition[condition] for condition in (AVERAGE, *CONDITIONS)]
        yield {"name": names.get(str(other), other), "cells": cells}


def _mechanism(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the measures of the mechanism: one row for each measure and condition."""
    columns = list(dict.fromkeys(table["network"]))
    for key, lines in table.groupby(["measure", "condition"], sort=False):
        measure, condition = map(str, key)
        by_network = lines.set_index("network").to_dict("index")
        yield {
            "measure": MEASURES[measure],
            "condition": "" if condition in ("six", FULL) else heading(condition),
            "cells": [by_network.get(network) for network in columns],
            "bracketed": measure.startswith(IN_BRACKETS),
        }


def _title(condition: str) -> str:
    return heading(condition).capitalize()
