"""Every script refuses an old Python before it imports anything that such a Python lacks."""

import subprocess
import sys

import pytest

from architecture.project import ROOT, SCRIPTS

OLD = """
import runpy, sys
sys.version_info = (3, 10, 13)
sys.path.insert(0, ".")
module = sys.argv[1]
sys.argv = ["-m"]
runpy.run_module(module, run_name="__main__")
"""


@pytest.mark.parametrize("module", ["ifmmin", *(f"stages.{path.stem}" for path in SCRIPTS)])
def test_an_old_python_gets_an_error_with_the_expected_version(module):
    """Without site-packages: the pinned packages cannot be installed on an old Python."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", OLD, module], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stderr == (
        "This is Python 3.10; expected 3.11 or newer. "
        "Create the virtual environment with Python 3.11 or newer.\n"
    )
