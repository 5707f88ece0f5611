"""The page of what can be relied on names tests that there are."""

import ast
import re

import pytest

from architecture.project import ROOT, tree

PAGE = (ROOT / "docs/reliability.md").read_text("utf-8")
TABLES = [
    table.splitlines() for table in re.findall(r"^(?:\|.*\n)+", PAGE, re.MULTILINE) if "held by" in table
]
CLAIMS = [line for _, _, *lines in TABLES for line in lines]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.split("|")[1].strip())
def test_a_claim_is_held_by_a_test_that_there_is(claim):
    found = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", claim)

    assert found
    for path, name in found:
        functions = [node.name for node in ast.walk(tree(ROOT / path)) if isinstance(node, ast.FunctionDef)]
        assert not name or name in functions


def test_all_four_tables_are_read():
    assert len(TABLES) == PAGE.count("held by") == 4
