"""Names of scripts and lengths of functions and modules."""

import ast
import sys
from importlib import metadata

import pytest

from architecture.project import LIBRARY, SCRIPTS, body, name, tree

MAIN, FUNCTION, MODULE = 40, 40, 330


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without signature and docstring."""
    statements = body(function)
    return statements[-1].end_lineno - statements[0].lineno + 1 if statements else 0


def test_no_script_shadows_a_module():
    """If stages/ is first on Python's path, a script `select.py` would replace the module `select`."""
    modules = sys.stdlib_module_names | metadata.packages_distributions().keys() | {"ifmmin"}

    assert {path.stem for path in SCRIPTS} & modules == set()


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_main_is_short(path):
    [main] = [node for node in tree(path).body if isinstance(node, ast.FunctionDef) and node.name == "main"]

    assert length(main) <= MAIN


@pytest.mark.parametrize("path", SCRIPTS + LIBRARY, ids=name)
def test_functions_are_short(path):
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)]

    too_long = {f"{f.name}, line {f.lineno}": length(f) for f in functions if length(f) > FUNCTION}

    assert too_long == {}


@pytest.mark.parametrize("path", SCRIPTS + LIBRARY, ids=name)
def test_modules_are_short(path):
    assert len(path.read_text("utf-8").splitlines()) <= MODULE
