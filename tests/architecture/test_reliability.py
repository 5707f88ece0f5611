"""The page of what can be relied on names tests that there are."""

import ast
import math
import re

import pytest

from architecture.project import ROOT, tree
from pipeline import test_faults as faults

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


def test_all_six_tables_are_read():
    assert len(TABLES) == PAGE.count("| held by |") == 6


def cases(test):
    """How often pytest runs a test."""
    return math.prod(len(mark.args[1]) for mark in test.pytestmark if mark.name == "parametrize")


def test_the_page_counts_the_faults_that_are_tried():
    rows = re.findall(r"^\|.*\| (\d+) \| (\d+) \| (\d+) \| `?t", PAGE, re.MULTILINE)
    spoiled = 2 * cases(faults.test_an_artifact_that_is_gone_or_cut_short_in_the_workspace)
    spoiled += 2 + cases(faults.test_a_lock_that_is_broken_is_said_and_git_has_it)  # cache, checkpoint
    tried = [
        len(faults.FAULTS) * cases(faults.test_a_stage_that_is_struck_while_it_writes),
        cases(faults.test_a_disk_that_is_really_full_or_may_not_be_written),
        spoiled,
        cases(faults.test_a_signal_ends_all_within_seconds_and_without_a_storm),
    ]

    assert [int(row[0]) for row in rows[:4]] == tried
    assert all(int(n) == int(survived) + int(lost) for n, survived, lost in rows)
