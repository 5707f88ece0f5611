"""Paths of artifacts are only in dvc.yaml; paths of a machine are nowhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from architecture.project import LIBRARY, ROOT, SCRIPTS, files, name, tree

MACHINE = re.compile(r"/(?:work|root|tmp)/")


def texts(path: Path) -> Iterator[ast.Constant]:
    """The string constants of a file, without docstrings."""
    docstrings = {node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node


@pytest.mark.parametrize("path", SCRIPTS + LIBRARY, ids=name)
def test_code_names_no_path_of_an_artifact(path):
    paths = [
        f"line {node.lineno}: {node.value}"
        for node in texts(path)
        if node.value.removeprefix("./").startswith(("data/", "metrics/"))
    ]

    assert paths == []


@pytest.mark.parametrize("path", SCRIPTS + LIBRARY, ids=name)
def test_code_builds_no_path_of_an_artifact(path):
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]

    paths = [
        ast.unparse(call)
        for call in calls
        if ast.unparse(call.func).rpartition(".")[2] == "Path"
        and any(isinstance(arg, ast.Constant) and arg.value in ("data", "metrics") for arg in call.args)
    ]

    assert paths == []


def test_no_file_names_a_path_of_a_machine():
    matches = []
    for path in files():
        if path.is_relative_to(ROOT / "tests"):
            continue
        try:
            lines = path.read_text("utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        matches += [
            f"{name(path)}:{n}: {line.strip()}" for n, line in enumerate(lines, 1) if MACHINE.search(line)
        ]

    assert matches == []
