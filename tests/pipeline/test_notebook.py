"""The notebook runs, and its committed outputs have the form of a new run's."""

import json
import re
import shutil

import pytest

from conftest import ROOT
from notebook import run

pytestmark = [pytest.mark.slow, pytest.mark.gate]

NOTEBOOK = ROOT / "docs/use_a_model.ipynb"


def texts(outputs):
    """The output lines, without numbers, emotions and utterance ids, which differ between runs."""
    lines = [
        line
        for cell in outputs
        for output in cell
        for line in output.get("text", output.get("data", {}).get("text/plain", []))
    ]
    return [" ".join(re.sub(r"-?[\d.]+|angry|happy|neutral|sad|Ses\w+", "_", line).split()) for line in lines]


def test_the_notebook_runs_and_prints_what_is_committed(reproduced, tmp_path, monkeypatch):
    """It runs on the small project, so numbers and feature sizes differ from the committed outputs."""
    shutil.copytree(reproduced.folder / "data", tmp_path / "data", symlinks=True)
    monkeypatch.chdir(tmp_path)
    cells = [c for c in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]

    outputs = run(["".join(cell["source"]) for cell in cells])

    assert texts(outputs) == texts([cell["outputs"] for cell in cells])
