"""The marks of Table 1: those that the paper prints, and those of tables made by hand."""

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


def one(condition="a", **wa):
    """One condition from a WA for each system; UA is 1 minus it."""
    rows = [(system, condition, value, 1 - value) for system, value in wa.items()]
    return pd.DataFrame(rows, columns=["system", "condition", "wa", "ua"])


def both(table, **groups):
    """The two marks of x in the only condition of a table."""
    [row] = marks.marked(table, **SMALL | groups).query("system == 'x'").itertuples()
    return row.wa_marks, row.ua_marks


def test_the_paper_s_figures_get_the_marks_that_the_paper_prints():
    """Paper, Table 1, row IF-MMIN (ours); the text's asterisk operator is a * here."""
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


def test_a_smaller_margin_takes_the_mark_of_the_paper_s_widest_gap():
    """{v}: WA .5299 - .5197 = .0102 and UA .5117 - .5041 = .0076 behind MMIN; above both ablations."""
    table = marks.marked(pd.read_csv(PAPER), on_par=0.0101, **GROUPS).set_index(["system", "condition"])

    assert table.loc[("if_mmin", "v"), "wa_marks"] == "⇑"
    assert table.loc[("if_mmin", "v"), "ua_marks"] == "*⇑"


def test_where_the_others_are_clearly_better_there_is_no_mark():
    """WA: 0.5 against 0.6 of b and 0.7 of d; UA, 1 minus it: against 0.6 of c and 0.7 of e."""
    assert both(one(x=0.5, b=0.6, c=0.4, d=0.7, e=0.3)) == ("", "")


def test_one_better_member_of_a_group_is_enough():
    """WA: 0.5 is above b's 0.4, below c's 0.8 and both ablations.

    UA: it is below b's 0.6, above c's 0.2 and both ablations.
    """
    assert both(one(x=0.5, b=0.4, c=0.8, d=0.6, e=0.7)) == ("", "⇑")


def test_equal_is_on_par_and_not_above_even_with_no_margin():
    assert both(one(x=0.5, b=0.5, c=0.5, d=0.5, e=0.5), on_par=0.0) == ("*+", "*+")


def test_above_is_above_however_little():
    """A billionth, which four digits would hide."""
    assert both(one(x=0.5 + 1e-9, b=0.5, c=0.5, d=0.5, e=0.5), on_par=0.0) == ("↑⇑", "")


def test_the_margin_itself_is_on_par_in_spite_of_rounding():
    """0.6 - 0.59 is 0.010000000000000009; 0.6 - 0.5899 is beyond the margin."""
    assert both(one(x=0.59, b=0.6, d=0.6))[0] == "*+"
    assert both(one(x=0.5899, b=0.6, d=0.6))[0] == ""


def test_a_member_without_a_number_is_left_out_of_its_group():
    assert both(one(x=0.5, b=0.4, c=float("nan"), d=float("nan"), e=0.4)) == ("↑⇑", "")


@pytest.mark.parametrize(
    ("table", "groups", "expected"),
    [
        pytest.param(one(x=0.5, d=0.4, e=0.4), {}, "⇑", id="no baseline in the table"),
        pytest.param(one(x=0.5, b=0.4, c=0.4), {}, "↑", id="no ablation in the table"),
        pytest.param(one(x=0.5, b=float("nan"), d=0.4), {}, "⇑", id="baselines without a number"),
        pytest.param(one(x=0.5, b=0.4, d=0.4), {"baselines": []}, "⇑", id="no baselines named"),
        pytest.param(one(x=0.5, b=0.4, d=0.4), {"ablations": []}, "↑", id="no ablations named"),
        pytest.param(one(x=0.5, f=0.4), {}, "", id="alone"),
        pytest.param(one(x=float("nan"), b=0.4, d=0.4), {}, "", id="proposed without a number"),
    ],
)
def test_a_group_without_a_number_gives_no_sign(table, groups, expected):
    assert both(table, **groups)[0] == expected


def test_a_table_without_the_proposed_system_gets_no_mark():
    table = marks.marked(one(b=0.5, d=0.6), **SMALL)

    assert table["wa_marks"].tolist() == table["ua_marks"].tolist() == ["", ""]


def test_the_full_input_gets_no_mark_and_each_other_condition_is_compared_with_itself():
    """X is above b in t, far below in the average, and above in avt, which takes no mark."""
    table = pd.concat(
        [one("average", x=0.2, b=0.9), one("t", x=0.5, b=0.4), one("avt", x=0.9, b=0.4)], ignore_index=True
    )

    found = marks.marked(table, **SMALL)

    got = found[found["system"] == "x"].set_index("condition")["wa_marks"]
    assert got.to_dict() == {"average": "", "t": "↑", "avt": ""}


def test_the_table_is_left_as_it_was_and_comes_back_in_its_order():
    table = one(c=0.6, x=0.5, b=0.4).assign(n_folds=2)
    before = table.copy()

    found = marks.marked(table, **SMALL)

    pd.testing.assert_frame_equal(table, before)
    pd.testing.assert_frame_equal(found.drop(columns=["wa_marks", "ua_marks"]), before)
    assert list(found.columns[-2:]) == ["wa_marks", "ua_marks"]


@given(st.lists(st.integers(0, 100), min_size=5, max_size=5), st.integers(0, 100))
def test_marks_are_those_of_whole_numbers_compared_one_by_one(points, margin):
    """Hundredths: above if above each; on par if not above and no further than the margin from each."""
    ours, *rivals = points
    expected = ""
    for group, better, par in ((rivals[:2], "↑", "*"), (rivals[2:], "⇑", "+")):
        above = all(ours > rival for rival in group)
        near = all(rival - ours <= margin for rival in group)
        expected += better if above else par if near else ""

    table = one(**dict(zip("xbcde", (p / 100 for p in points), strict=True)))

    assert both(table, on_par=margin / 100)[0] == expected


def test_the_legend_names_the_systems_that_were_met_and_no_empty_group():
    """Of the baselines b and c only b has a number, of the ablations none."""
    table = marks.marked(one(x=0.6, b=0.5, c=float("nan")), **SMALL)

    assert marks.legend(table, **SMALL) == [
        "Marks of x: ↑ above every baseline (b), * not above, but within 0.01 of the best."
    ]


def test_there_is_no_legend_where_there_is_no_mark():
    table = marks.marked(one(x=0.1, b=0.5, d=0.5), **{**SMALL, "on_par": 0.0}).assign(ua_marks="")

    assert table["wa_marks"].tolist() == ["", "", ""]
    assert marks.legend(table, **SMALL) == []
