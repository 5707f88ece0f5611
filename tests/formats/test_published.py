"""The paper's scores: the committed file, and which files are refused."""

import re
from pathlib import Path

import pytest

from ifmmin.core.files import ArtifactError
from ifmmin.results import published

FILE = Path(__file__).parents[2] / "reference" / "paper_table1.csv"
SEVEN = ["a", "v", "t", "av", "at", "vt", "average"]


@pytest.fixture
def lines():
    """A header and seven rows: one system in all conditions."""
    return ["system,condition,wa,ua", *(f"mmin,{c},0.{n}1,0.{n}2" for n, c in enumerate(SEVEN, 1))]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "paper.csv"


def refused(path, *parts):
    """Expect an ArtifactError that names the file, each part and the remedy."""
    pattern = "".join(f"(?=[\\s\\S]*{re.escape(part)})" for part in (str(path), *parts, "Restore the file"))
    return pytest.raises(ArtifactError, match=pattern)


def test_the_committed_file_has_the_papers_systems_and_conditions():
    """Spot checks against Table 1: the first and the last cell, and IF-MMIN's WA in {v}."""
    scores = published.read(FILE)

    systems = ["mctn", "mmin", "mmin_no_cycle", "if_mmin", "if_mmin_no_inv", "if_mmin_no_cascade"]
    assert list(scores.columns) == ["system", "condition", "wa", "ua"]
    assert scores["system"].tolist() == [s for s in systems for _ in SEVEN]
    assert scores["condition"].tolist() == SEVEN * 6
    cells = scores.set_index(["system", "condition"])
    assert cells.loc[("mctn", "a")].tolist() == [0.4975, 0.5162]
    assert cells.loc[("if_mmin", "v"), "wa"] == 0.5197
    assert cells.loc[("if_mmin_no_cascade", "average")].tolist() == [0.6400, 0.6514]


def test_each_committed_average_is_the_mean_of_six_conditions():
    """This detects a typing error of 0.002 or more.

    Rounding explains 0.0001; one average in the paper, UA of w/o cascaded input, is 0.00013 above the mean.
    """
    scores = published.read(FILE)

    six = scores[scores["condition"] != "average"].groupby("system")[["wa", "ua"]].mean()
    average = scores[scores["condition"] == "average"].set_index("system")[["wa", "ua"]]
    assert len(average) == 6
    assert ((six - average).abs() < 0.00014).all(axis=None)


def test_scores_are_read_in_file_order_and_to_the_last_bit(path, lines):
    lines[1] = "mmin,a,0.1234567890123456789,1e-1"
    path.write_text("\n".join(lines), "utf-8")

    scores = published.read(path)

    assert scores["condition"].tolist() == SEVEN
    assert scores["wa"].tolist() == [0.1234567890123456789, 0.21, 0.31, 0.41, 0.51, 0.61, 0.71]
    assert scores["ua"].tolist() == [0.1, 0.22, 0.32, 0.42, 0.52, 0.62, 0.72]


@pytest.mark.parametrize(
    ("number", "text", "parts"),
    [
        pytest.param(
            0, "system,condition,ua,wa", ["['system', 'condition', 'ua', 'wa']", "expected"], id="columns"
        ),
        pytest.param(3, "mmin,x,0.5,0.5", ["line 4", "'x' is not known", "average"], id="condition"),
        pytest.param(3, "mmin,avt,0.5,0.5", ["line 4", "'avt' is not known"], id="the full input"),
        pytest.param(2, "mmin,v,1.5,0.5", ["line 3", "wa is '1.5'", "[0, 1]"], id="above 1"),
        pytest.param(2, "mmin,v,0.5,-0.1", ["line 3", "ua is '-0.1'"], id="below 0"),
        pytest.param(2, "mmin,v,0.5,", ["line 3", "ua is ''"], id="empty"),
        pytest.param(2, "mmin,v,nan,0.5", ["line 3", "wa is 'nan'"], id="not a number"),
        pytest.param(2, "mmin,v,high,0.5", ["line 3", "wa is 'high'"], id="text"),
        pytest.param(2, "mmin,a,0.5,0.5", ["'mmin' occurs 2 times in condition 'a'"], id="twice"),
        pytest.param(2, "mmin,a,0.5,0.5", ["'mmin' occurs 0 times in condition 'v'"], id="missing"),
        pytest.param(2, "other,v,0.5,0.5", ["'other' occurs 0 times in condition 'at'"], id="partial system"),
        pytest.param(2, "mmin,v,0.5,0.5,0.5", ["not readable as CSV"], id="a field too many"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(path, lines, number, text, parts):
    lines[number] = text
    path.write_text("\n".join(lines), "utf-8")

    with refused(path, *parts):
        published.read(path)


def test_all_faults_are_reported_at_once_one_per_line(path, lines):
    lines[1], lines[2] = "mmin,a,2,0.5", "mmin,v,0.5,x"
    path.write_text("\n".join(lines), "utf-8")

    with refused(path, "wa is '2'", "ua is 'x'") as error:
        published.read(path)

    assert len(str(error.value).splitlines()) == 2


def test_an_empty_file_is_refused(path):
    path.write_text("", "utf-8")

    with refused(path, "not readable as CSV"):
        published.read(path)


def test_a_file_without_scores_is_refused(path, lines):
    path.write_text(lines[0] + "\n", "utf-8")

    with refused(path, "has no scores"):
        published.read(path)


def test_a_binary_file_is_refused(path):
    path.write_bytes(b"system,condition,wa,ua\n\xff\xfe,a,0.5,0.5\n")

    with refused(path, "not readable as CSV"):
        published.read(path)


def test_a_missing_file_is_named(path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(path))):
        published.read(path)
