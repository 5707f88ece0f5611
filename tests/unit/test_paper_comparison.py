"""Comparison of our scores with the paper's, from small hand-made tables."""

import math

import pandas as pd
import pytest

from ifmmin.results import paper_comparison, table1

IEMOCAP = {
    "name": "IEMOCAP",
    "classes": ["angry", "happy", "neutral", "sad"],
    "synthetic": False,
    "iemocap": True,
}


def table(*rows, n_folds=10, n_seeds=3):
    """Rows of Table 1: system, condition, wa, ua."""
    cells = pd.DataFrame(rows, columns=["system", "condition", "wa", "ua"])
    return cells.assign(wa_std=0.01, ua_std=0.01, n_folds=n_folds, n_seeds=n_seeds)


def published(*rows):
    return pd.DataFrame(rows, columns=["system", "condition", "wa", "ua"])


OURS = table(("mmin", "a", 0.6, 0.5))
PAPER = published(("mmin", "a", 0.55, 0.57))


def test_each_score_has_a_line_with_our_score_minus_the_paper_s():
    """0.6 - 0.55 = 0.05, 0.5 - 0.57 = -0.07."""
    lines = paper_comparison.against_paper(OURS, PAPER, IEMOCAP)

    assert list(lines.columns) == ["system", "condition", "metric", "ours", "paper", "difference", "note"]
    assert lines.drop(columns="difference").to_numpy().tolist() == [
        ["mmin", "a", "wa", 0.6, 0.55, ""],
        ["mmin", "a", "ua", 0.5, 0.57, ""],
    ]
    assert lines["difference"].tolist() == pytest.approx([0.05, -0.07])


def test_only_shared_cells_are_compared_in_the_order_of_our_table():
    """The paper has neither avt nor system s; we have no mctn."""
    ours = table(("if_mmin", "average", 0.6, 0.6), ("if_mmin", "avt", 0.7, 0.7), ("if_mmin", "t", 0.5, 0.5))
    ours = pd.concat([ours, table(("s", "t", 0.1, 0.1), ("mmin", "t", 0.4, 0.4))])
    paper = published(
        ("mctn", "t", 0.6, 0.6),
        ("mmin", "t", 0.5, 0.5),
        ("if_mmin", "t", 0.7, 0.7),
        ("if_mmin", "average", 0.65, 0.6),
    )

    lines = paper_comparison.against_paper(ours, paper, IEMOCAP)

    assert [tuple(line) for line in lines[["system", "condition", "metric"]].to_numpy()] == [
        ("if_mmin", "average", "wa"),
        ("if_mmin", "average", "ua"),
        ("if_mmin", "t", "wa"),
        ("if_mmin", "t", "ua"),
        ("mmin", "t", "wa"),
        ("mmin", "t", "ua"),
    ]
    assert lines["ours"].tolist() == [0.6, 0.6, 0.5, 0.5, 0.4, 0.4]
    assert lines["paper"].tolist() == [0.65, 0.6, 0.7, 0.7, 0.5, 0.5]


def test_the_output_of_table_1_gives_fourteen_lines_per_system():
    conditions = ("average", "a", "v", "t", "av", "at", "vt")
    scores = pd.DataFrame(
        [("mmin", 1, 0, c, 0.5, 0.25) for c in (*conditions, "avt")],
        columns=["system", "fold", "seed", "condition", "wa", "ua"],
    )
    paper = published(*(("mmin", c, 0.4, 0.4) for c in reversed(conditions)))

    lines = paper_comparison.against_paper(table1.table(scores, ["mmin"]), paper, IEMOCAP)

    assert lines["condition"].tolist() == [c for c in conditions for _ in range(2)]
    assert lines["ours"].tolist() == [0.5, 0.25] * 7


NOTES = [
    pytest.param({}, {}, "mmin", "", id="as in the paper"),
    pytest.param({}, {"n_folds": 12, "n_seeds": 5}, "mmin", "", id="more runs than the paper's"),
    pytest.param(
        {"synthetic": True},
        {},
        "mmin",
        "synthetic corpus: not comparable",
        id="synthetic, with IEMOCAP ids",
    ),
    pytest.param(
        {"name": "MOSI", "iemocap": False},
        {},
        "mmin",
        "MOSI is not IEMOCAP: not comparable",
        id="another corpus",
    ),
    pytest.param(
        {"classes": ["angry", "sad"]},
        {},
        "mmin",
        "2 classes, the paper has 4: not comparable",
        id="other classes",
    ),
    pytest.param({}, {"n_folds": 2}, "mmin", "2 of the paper's 10 folds, 3 of its 3 seeds", id="fewer folds"),
    pytest.param(
        {}, {"n_seeds": 1}, "mmin", "10 of the paper's 10 folds, 1 of its 3 seeds", id="fewer seeds"
    ),
    pytest.param(
        {},
        {},
        "mctn",
        "our own construction of the system: only a rough comparison",
        id="a system the paper does not describe",
    ),
    pytest.param(
        {"synthetic": True, "iemocap": False},
        {"n_folds": 2, "n_seeds": 1},
        "mctn",
        "synthetic corpus: not comparable; 2 of the paper's 10 folds, 1 of its 3 seeds; "
        "our own construction of the system: only a rough comparison",
        id="all at once",
    ),
]


@pytest.mark.parametrize(("corpus", "runs", "system", "expected"), NOTES)
def test_the_note_says_why_scores_cannot_be_compared(corpus, runs, system, expected):
    ours = table((system, "a", 0.6, 0.5), **runs)

    lines = paper_comparison.against_paper(ours, published((system, "a", 0.5, 0.5)), IEMOCAP | corpus)

    assert lines["note"].tolist() == [expected, expected]


def test_a_system_without_runs_keeps_its_lines_with_a_note():
    """Table 1 has cells for every system; they are empty if there are no runs."""
    ours = table(("mmin", "a", math.nan, math.nan), n_folds=0, n_seeds=0)

    lines = paper_comparison.against_paper(ours, PAPER, IEMOCAP)

    assert lines["paper"].tolist() == [0.55, 0.57]
    assert lines[["ours", "difference"]].isna().all(axis=None)
    assert lines["note"].tolist() == ["no runs of this system"] * 2


def test_the_note_on_missing_runs_concerns_only_its_own_system():
    ours = pd.concat([OURS, table(("if_mmin", "a", 0.6, 0.6), n_folds=9)])
    paper = pd.concat([PAPER, published(("if_mmin", "a", 0.6, 0.6))])

    notes = paper_comparison.against_paper(ours, paper, IEMOCAP)["note"].tolist()

    assert notes[:2] == ["", ""]
    assert all("9 of the paper's 10 folds" in note for note in notes[2:])


def test_the_input_tables_are_not_modified():
    ours, paper = OURS.copy(), PAPER.copy()

    paper_comparison.against_paper(ours, paper, IEMOCAP)

    pd.testing.assert_frame_equal(ours, OURS)
    pd.testing.assert_frame_equal(paper, PAPER)
