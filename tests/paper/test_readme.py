"""The README says what the repository holds."""

import re
from pathlib import Path

import pandas as pd

from ifmmin.artifacts.tables import markdown

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_shows_the_committed_table():
    """Every number of the README's Table 1 is that of metrics/table1.json, which `dvc repro` writes."""
    nested = pd.read_json(ROOT / "metrics/table1.json", orient="index", convert_axes=False)
    table = pd.DataFrame(
        [
            {"system": system, "condition": condition, **scores}
            for system, cells in nested.iterrows()
            for condition, scores in cells.items()
        ]
    )

    lines = markdown(table, []).strip().splitlines()

    assert "\n".join(lines) in (ROOT / "README.md").read_text("utf-8")


def test_the_readme_names_only_files_that_are_there():
    """Every path in code marks that lies in the repository, but for what the pipeline writes."""
    text = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"`((?:stages|tests|presets|\.ci)/[\w./-]+)`", text))

    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
