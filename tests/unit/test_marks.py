"""The marks of Table 1: the paper's own, and those of small hand-made tables."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifmmin.results import marks

PAPER = Path(__file__).parents[2] / "reference" / "paper_table1.csv"
GROUPS = {
    "proposed": "if_mmin",
    "baselines": ["mctn", "mmin", "mmin_no_cycle"],
    "ablations": ["if_mmin_no_inv", "if_mmin_no_cascade"],
}
SMALL = {"proposed": "x", "baselines": ["b", "c"], "ablations": ["d", "e"], "on_par": 0.01}


def condition_table(condition="a", **wa):
    """A table of one condition with the WA of each system; UA is 1 - WA."""
    rows = [(system, condition, value, 1 - value) for system, value in wa.items()]
    return pd.DataFrame(rows, columns=["system", "condition", "wa", "ua"])


def marks_of_x(table, **groups):
    """The WA and UA marks of x in a table of one condition."""
    [row] = marks.marked(table, **SMALL | groups).query("system == 'x'").itertuples()
    return row.wa_marks, row.ua_marks


def test_the_paper_s_numbers_get_the_marks_the_paper_prints():
    """Paper, Table 1, row IF-MMIN (ours); the paper's asterisk operator is a * here."""
    printed = {
        "a": ("↑⇑", "*⇑"),
        "v": ("*⇑", "*⇑"),
        "t": ("↑⇑", "↑⇑"),
        "av": ("↑+", "↑+"),
        "at": ("↑⇑", "↑⇑"),
        "vt": ("↑⇑", "↑⇑"),
        "average": ("↑⇑", "↑⇑"),
    }

    table = marks.marked(pd.read_csv(PAPER), on_par=0.0105, **GROUPS).set_index(["system", "condition"])

    assert {c: tuple(table.loc[("if_mmin", c), ["wa_marks", "ua_marks"]]) for c in printed} == printed
    others = table.drop(index="if_mmin", level="system")
    assert len(others) == 35
    assert (others[["wa_marks", "ua_marks"]] == "").all(axis=None)


def test_a_smaller_margin_removes_the_mark_of_the_largest_gap():
    """{v}: WA .5299 - .5197 = .0102 and UA .5117 - .5041 = .0076 behind MMIN; above both ablations."""
    table = marks.marked(pd.read_csv(PAPER), on_par=0.0101, **GROUPS).set_index(["system", "condition"])

    assert table.loc[("if_mmin", "v"), "wa_marks"] == "⇑"
    assert table.loc[("if_mmin", "v"), "ua_marks"] == "*⇑"


def test_there_is_no_mark_if_the_rivals_are_clearly_better():
    """WA: x has 0.5, b 0.6 and d 0.7. UA (1 - WA): x has 0.5, c 0.6 and e 0.7."""
    assert marks_of_x(condition_table(x=0.5, b=0.6, c=0.4, d=0.7, e=0.3)) == ("", "")


def test_one_clearly_better_rival_removes_the_mark_of_its_group():
    """WA: x is above b (0.4) but below c (0.8) and both ablations.

    UA: x is below b (0.6) but above c (0.2) and both ablations.
    """
    assert marks_of_x(condition_table(x=0.5, b=0.4, c=0.8, d=0.6, e=0.7)) == ("", "⇑")


def test_equal_scores_are_on_par_even_with_no_margin():
    assert marks_of_x(condition_table(x=0.5, b=0.5, c=0.5, d=0.5, e=0.5), on_par=0.0) == ("*+", "*+")


def test_any_lead_counts_as_above():
    """A lead of 1e-9, which four digits would hide."""
    assert marks_of_x(condition_table(x=0.5 + 1e-9, b=0.5, c=0.5, d=0.5, e=0.5), on_par=0.0) == ("↑⇑", "")


def test_a_difference_equal_to_the_margin_is_on_par_despite_rounding():
    """0.6 - 0.59 is 0.010000000000000009; 0.6 - 0.5899 exceeds the margin."""
    assert marks_of_x(condition_table(x=0.59, b=0.6, d=0.6))[0] == "*+"
    assert marks_of_x(condition_table(x=0.5899, b=0.6, d=0.6))[0] == ""


def test_a_rival_without_a_score_is_ignored():
    assert marks_of_x(condition_table(x=0.5, b=0.4, c=float("nan"), d=float("nan"), e=0.4)) == ("↑⇑", "")


@pytest.mark.parametrize(
    ("table", "groups", "expected"),
    [
        pytest.param(condition_table(x=0.5, d=0.4, e=0.4), {}, "⇑", id="no baseline in the table"),
        pytest.param(condition_table(x=0.5, b=0.4, c=0.4), {}, "↑", id="no ablation in the table"),
        pytest.param(condition_table(x=0.5, b=float("nan"), d=0.4), {}, "⇑", id="baselines without a score"),
        pytest.param(condition_table(x=0.5, b=0.4, d=0.4), {"baselines": []}, "⇑", id="no baselines named"),
        pytest.param(condition_table(x=0.5, b=0.4, d=0.4), {"ablations": []}, "↑", id="no ablations named"),
        pytest.param(condition_table(x=0.5, f=0.4), {}, "", id="no rivals at all"),
        pytest.param(condition_table(x=float("nan"), b=0.4, d=0.4), {}, "", id="proposed without a score"),
    ],
)
def test_a_group_without_scores_gives_no_mark(table, groups, expected):
    assert marks_of_x(table, **groups)[0] == expected


def test_a_table_without_the_proposed_system_gets_no_mark():
    table = marks.marked(condition_table(b=0.5, d=0.6), **SMALL)

    assert table["wa_marks"].tolist() == table["ua_marks"].tolist() == ["", ""]


def test_conditions_are_marked_separately_and_the_full_input_not_at_all():
    """System x is above b in t, far below it on average, and above it in avt, which gets no mark."""
    table = pd.concat(
        [
            condition_table("average", x=0.2, b=0.9),
            condition_table("t", x=0.5, b=0.4),
            condition_table("avt", x=0.9, b=0.4),
        ],
        ignore_index=True,
    )

    marked = marks.marked(table, **SMALL)

    wa_marks = marked[marked["system"] == "x"].set_index("condition")["wa_marks"]
    assert wa_marks.to_dict() == {"average": "", "t": "↑", "avt": ""}


def test_marking_copies_the_table_and_keeps_the_order_of_its_rows():
    table = condition_table(c=0.6, x=0.5, b=0.4).assign(n_folds=2)
    before = table.copy()

    marked = marks.marked(table, **SMALL)

    pd.testing.assert_frame_equal(table, before)
    pd.testing.assert_frame_equal(marked.drop(columns=["wa_marks", "ua_marks"]), before)
    assert list(marked.columns[-2:]) == ["wa_marks", "ua_marks"]


@given(st.lists(st.integers(0, 100), min_size=5, max_size=5), st.integers(0, 100))
def test_marks_agree_with_integer_comparisons(points, margin):
    """In hundredths. Above: above every rival. On par: not above, but within the margin of every rival."""
    ours, *rivals = points
    expected = ""
    for group, better, par in ((rivals[:2], "↑", "*"), (rivals[2:], "⇑", "+")):
        above = all(ours > rival for rival in group)
        near = all(rival - ours <= margin for rival in group)
        expected += better if above else par if near else ""

    table = condition_table(**dict(zip("xbcde", (p / 100 for p in points), strict=True)))

    assert marks_of_x(table, on_par=margin / 100)[0] == expected


def test_the_legend_names_only_systems_with_scores():
    """Only b of the baselines has a score, and no ablation has one."""
    table = marks.marked(condition_table(x=0.6, b=0.5, c=float("nan")), **SMALL)

    assert marks.legend(table, **SMALL) == [
        "Marks of x: ↑ above every baseline (b), * not above, but within 0.01 of the best."
    ]


def test_a_table_without_marks_has_no_legend():
    table = marks.marked(condition_table(x=0.1, b=0.5, d=0.5), **{**SMALL, "on_par": 0.0}).assign(ua_marks="")

    assert table["wa_marks"].tolist() == ["", "", ""]
    assert marks.legend(table, **SMALL) == []


def test_references_are_the_systems_that_are_not_compared():
    assert marks.references(["y", "x", "b", "e", "z"], **SMALL) == ["y", "z"]
