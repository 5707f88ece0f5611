"""docs/reliability.md cites tests that exist and counts faults correctly."""

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
def test_every_claim_cites_an_existing_test(claim):
    cited = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", claim)

    assert cited
    for path, name in cited:
        functions = [node.name for node in ast.walk(tree(ROOT / path)) if isinstance(node, ast.FunctionDef)]
        assert not name or name in functions


def test_all_six_tables_are_read():
    assert len(TABLES) == PAGE.count("| held by |") == 6


def cases(test):
    """How many cases pytest runs for a test."""
    return math.prod(len(mark.args[1]) for mark in test.pytestmark if mark.name == "parametrize")


def test_the_page_counts_the_faults_that_are_tested():
    rows = re.findall(r"^\|.*\| (\d+) \| (\d+) \| (\d+) \| `?t", PAGE, re.MULTILINE)
    damaged = 2 * cases(faults.test_repro_restores_a_missing_or_truncated_artifact)
    damaged += 2 + cases(faults.test_a_broken_dvc_lock_is_reported_and_git_restores_it)  # cache, checkpoint
    tested = [
        len(faults.FAULTS) * cases(faults.test_a_fault_during_a_write_is_repaired_by_the_next_repro),
        cases(faults.test_a_full_or_read_only_disk_leaves_existing_files_unchanged),
        damaged,
        cases(faults.test_a_signal_stops_everything_within_seconds_and_quietly),
    ]

    assert [int(row[0]) for row in rows[:4]] == tested
    assert all(int(n) == int(survived) + int(lost) for n, survived, lost in rows)
