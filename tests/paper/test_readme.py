"""The README says what the repository holds."""

import json
import re
from itertools import pairwise
from pathlib import Path

import yaml

from ifmmin.core.terms import AVERAGE, CONDITIONS

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = (*CONDITIONS, AVERAGE)


def cells(line):
    """The cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_the_readme_shows_the_ua_of_the_committed_table():
    """Per cent with one decimal, of every system under its display name, as metrics/table1.json has it."""
    nested = json.loads((ROOT / "metrics/table1.json").read_text("utf-8"))
    lines = [
        cells(line) for line in (ROOT / "README.md").read_text("utf-8").splitlines() if line.startswith("|")
    ]
    names = {line[1].strip("`"): line[0] for line in lines if line[1].strip("`") in nested}
    shown = {line[0]: line[1:] for line in lines if len(line) == 1 + len(COLUMNS)}

    expected = {names[system]: [f"{100 * of[c]['ua']:.1f}" for c in COLUMNS] for system, of in nested.items()}

    assert {name: shown[name] for name in expected} == expected


def test_the_readme_names_only_files_that_are_there():
    """Every path in code marks that lies in the repository, but for what the pipeline writes."""
    text = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"`((?:ifmmin|stages|tests|presets|\.ci)/[\w./-]+)`", text))

    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_drawn_graph_has_the_edges_of_dvc_yaml():
    """Between stages; the drawing leaves out that aggregate and report read the name of the corpus."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    stages["ingest"]["deps"] = [
        dep.replace("${corpus}", "data/raw/embedded") for dep in stages["ingest"]["deps"]
    ]
    outs = [
        (out if isinstance(out, str) else next(iter(out)), name)
        for name, stage in stages.items()
        for out in (*stage.get("outs", []), *stage.get("plots", []), *stage.get("metrics", []))
    ]
    edges = {
        (maker, name)
        for name, stage in stages.items()
        for dep in stage["deps"]
        for out, maker in outs
        if maker != name and (below(dep, out) or below(out, dep))
    }
    text = (ROOT / "README.md").read_text("utf-8").split("```mermaid")[1].split("```")[0]
    drawn = set()
    for line in text.splitlines():
        groups = [re.findall(r"\w+", re.sub(r"\[[^\]]*\]", "", part)) for part in line.split("-->")]
        drawn |= {(a, b) for left, right in pairwise(groups) for a in left for b in right}

    assert edges - {("ingest", "aggregate"), ("ingest", "report")} == {
        (a, b) for a, b in drawn if a in stages and b in stages
    }


def below(path, folder):
    """Whether a path of dvc.yaml, with the item's names left out, lies in or is another."""
    parts, above = (x.split("/") for x in (path, folder))
    return len(parts) >= len(above) and all(
        "${" in a or "${" in b or a == b for a, b in zip(parts, above, strict=False)
    )


def test_every_row_of_the_committed_table_has_learned():
    """At least 0.15 above chance, 0.25, on average; the floor is not trained for gaps and has to as well."""
    nested = json.loads((ROOT / "metrics/table1.json").read_text("utf-8"))

    assert len(nested) == 8
    for system, cells in nested.items():
        assert cells["average"]["ua"] > 0.4, system
