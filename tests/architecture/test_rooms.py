"""Who may import whom: the contracts stand in pyproject.toml."""

import ast
import os
import subprocess
import sys
from pathlib import Path

from architecture.project import LIBRARY, ROOT, SCRIPTS, STAGES, imports, name, script, stages, tree


def test_the_rooms_keep_their_contracts():
    lint_imports = Path(sys.executable).with_name("lint-imports")

    run = subprocess.run(
        [lint_imports, "--no-cache", "--no-logo"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(STAGES)},
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stdout + run.stderr


def test_nobody_imports_a_script():
    stems = {path.stem for path in SCRIPTS}

    found = [
        f"{name(path)} imports {module}"
        for path in SCRIPTS + LIBRARY
        for module in imports(path)
        if module.split(".")[0] in stems
    ]

    assert found == []


def test_scripts_know_neither_dvc_nor_torch():
    """DVC calls them; mathematics stands in the library.

    The parallel runner and the comparison of experiments call DVC, and they alone.
    """
    found = {
        (path.name, module.split(".")[0])
        for path in SCRIPTS
        for module in imports(path)
        if module.split(".")[0] in ("dvc", "dvclive", "torch")
    }

    assert found == {("run.py", "dvc"), ("compare.py", "dvc")}


def test_what_computes_on_a_gpu_is_what_settles_on_a_device():
    """The parallel runner gives a GPU to the stages that ask for a device, and to no other."""
    [constant] = [
        node.value
        for node in tree(STAGES / "run.py").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "GPU_SCRIPTS"
    ]

    run = {script(stage) for stage in stages()}
    assert set(ast.literal_eval(constant)) == {
        path.stem for path in run if "ifmmin.training.devices" in imports(path)
    }
