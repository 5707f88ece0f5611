"""Which modules may import which; the contracts are in pyproject.toml."""

import ast
import os
import subprocess
import sys
from pathlib import Path

from architecture.project import LIBRARY, PACKAGE, ROOT, SCRIPTS, imports, name, script, stages, tree


def test_the_rooms_keep_their_contracts():
    lint_imports = Path(sys.executable).with_name("lint-imports")

    run = subprocess.run(
        [lint_imports, "--no-cache", "--no-logo"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stdout + run.stderr


def test_no_module_imports_a_script():
    offenders = [
        f"{name(path)} imports {module}"
        for path in SCRIPTS + LIBRARY
        for module in imports(path)
        if module.split(".")[0] == "stages"
    ]

    assert offenders == []


def test_scripts_import_neither_dvc_nor_torch():
    """DVC calls the scripts, and computation belongs to the library."""
    offenders = {
        (path.name, module.split(".")[0])
        for path in SCRIPTS
        for module in imports(path)
        if module.split(".")[0] in ("dvc", "dvclive", "torch")
    }

    assert offenders == set()


def test_gpu_stages_are_those_that_choose_a_device():
    """The parallel runner gives a GPU exactly to the stages that choose a device."""
    [constant] = [
        node.value
        for node in tree(PACKAGE / "parallel/workspace.py").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "GPU_STAGES"
    ]

    run = {script(stage) for stage in stages()}
    assert set(ast.literal_eval(constant)) == {
        f"stages.{path.stem}" for path in run if "ifmmin.training.devices" in imports(path)
    }
