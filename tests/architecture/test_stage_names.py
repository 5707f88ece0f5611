"""The stage names that users pass to `dvc repro`, as DVC expands them.

A matrix over a mapping works, but DVC does not document it.
"""

import os
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from architecture.project import ROOT, params, stages

SINGLE = (
    "synthesize",
    "ingest",
    "split",
    "configure",
    "aggregate",
    "draw",
    "export",
    "measure",
    "report",
    "robustness",
)


def expected(values: dict[str, Any]) -> list[str]:
    runs = [f"{fold}-{seed}" for fold in values["folds"] for seed in values["seeds"]]
    names = [*SINGLE]
    names += [f"pretrain@{kind}-{run}" for kind in values["pretrainings"] for run in runs]
    names += [
        f"train_{kind}@{system}-{run}"
        for kind, group in values["systems"].items()
        for system in group
        for run in runs
    ]
    names += [f"evaluate@{system}-{run}" for system in values["rows"] for run in runs]
    return sorted(names)


def listed(folder: Path, values: dict[str, Any]) -> list[str]:
    """The stage names of our dvc.yaml with these params, listed by DVC in a new folder."""
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\nno_scm = true\nanalytics = false\n", "utf-8")
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        cwd=folder,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return sorted(run.stdout.split())


def test_stage_names_are_those_of_params_yaml(tmp_path):
    assert listed(tmp_path, params()) == expected(params())


def test_stage_names_follow_folds_seeds_rows_and_systems(tmp_path):
    """Three folds, two seeds and a new system, which is the only one in Table 1."""
    values = deepcopy(params())
    values |= {"folds": [1, 2, 10], "seeds": [0, 7], "rows": ["seventh"]}
    values["systems"]["invariant"]["seventh"] = {}

    assert listed(tmp_path, values) == expected(values)


def test_a_command_runs_the_module_of_its_stage():
    for stage, content in stages().items():
        assert content["cmd"].split()[:3] == ["python", "-m", f"stages.{stage.partition('_')[0]}"], stage
