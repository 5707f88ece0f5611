"""Every script refuses a Python that is too old before it imports anything that such a Python cannot have."""

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
def test_an_old_python_is_named_and_what_is_expected(module):
    """Without site-packages, as what is pinned cannot be installed there."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", OLD, module], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stderr == (
        "This is Python 3.10; expected 3.11 or newer. Make the virtual environment with it.\n"
    )
