"""The README agrees with the repository."""

import json
import re
from itertools import pairwise
from pathlib import Path

import yaml

from ifmmin.core.terms import AVERAGE, CONDITIONS

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = (*CONDITIONS, AVERAGE)


def cells(line):
    """Cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_the_readme_shows_the_ua_of_the_committed_table():
    """UA of every system in metrics/table1.json, in per cent with one decimal, under its display name."""
    nested = json.loads((ROOT / "metrics/table1.json").read_text("utf-8"))
    lines = [
        cells(line) for line in (ROOT / "README.md").read_text("utf-8").splitlines() if line.startswith("|")
    ]
    names = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["names"]
    shown = {line[0]: line[1:] for line in lines if len(line) == 1 + len(COLUMNS)}

    expected = {names[s]: [f"{100 * scores[c]['ua']:.1f}" for c in COLUMNS] for s, scores in nested.items()}

    assert {name: shown[name] for name in expected} == expected
    assert [names[s] for s in nested] == [line[0] for line in lines if line[1].strip("`") in nested]


def test_the_readme_names_only_existing_files():
    """Every path in code marks, except those that the pipeline writes."""
    text = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"`((?:ifmmin|stages|tests|presets|\.ci)/[\w./-]+)`", text))

    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_drawn_graph_has_the_edges_of_dvc_yaml():
    """The graph omits that aggregate, draw and report read the corpus's name and classes from ingest."""
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

    assert edges - {("ingest", name) for name in ("aggregate", "draw", "report")} == {
        (a, b) for a, b in drawn if a in stages and b in stages
    }


def below(path, folder):
    """Whether a path of dvc.yaml is inside or equal to a folder; `${...}` matches anything."""
    parts, above = (x.split("/") for x in (path, folder))
    return len(parts) >= len(above) and all(
        "${" in a or "${" in b or a == b for a, b in zip(parts, above, strict=False)
    )


def test_every_system_of_the_committed_table_has_learned():
    """Average UA is at least 0.15 above chance (0.25), even for the lower reference."""
    nested = json.loads((ROOT / "metrics/table1.json").read_text("utf-8"))

    assert len(nested) == 9
    for system, cells in nested.items():
        assert cells["average"]["ua"] > 0.4, system
