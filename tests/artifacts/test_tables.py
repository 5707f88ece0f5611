"""Table 1 and what lies behind it, as they are written."""

import json

import pandas as pd
import samples

from ifmmin import averaging
from ifmmin.artifacts import tables


def test_scores_have_a_line_for_each_run_and_condition(tmp_path):
    tables.write_scores(tmp_path / "s.csv", samples.scores())

    got = pd.read_csv(tmp_path / "s.csv")
    assert list(got.columns) == ["system", "fold", "seed", "condition", "wa", "ua"]
    assert got.to_dict("list") == samples.scores().to_dict("list")


def test_the_json_has_systems_in_row_order_and_unrounded_numbers(tmp_path):
    """X before b; WA of b is a third, its UA a ninth."""
    table = averaging.table(samples.scores(), ["x", "b"])

    tables.write_nested(tmp_path / "t.json", averaging.nested(table))

    got = json.loads((tmp_path / "t.json").read_text("utf-8"))
    assert list(got) == ["x", "b"]
    assert list(got["x"]) == ["average", "a", "v", "t", "av", "at", "vt", "avt"]
    assert got["b"]["a"] == {"ua": 1 / 3 / 3, "wa": 1 / 3}


def test_the_csv_has_the_contract_s_columns_and_empty_cells_for_the_deviation_of_one_run(tmp_path):
    """x: 0.5 and 0.75 in two folds; b: one run."""
    tables.write_table(tmp_path / "t.csv", averaging.table(samples.scores(), ["x", "b"]))

    lines = (tmp_path / "t.csv").read_text("utf-8").splitlines()
    assert lines[0] == "system,condition,wa,ua,wa_std,ua_std,n_folds,n_seeds"
    assert lines[1].startswith("x,average,0.625,0.2083333333333333")
    assert lines[1].endswith(",2,1")
    assert lines[9] == f"b,average,{1 / 3},{1 / 3 / 3},,,1,1"


def test_the_markdown_has_a_line_for_each_system_rounded_to_four_digits_with_the_full_input_last(tmp_path):
    scores = samples.scores()
    scores.loc[(scores["system"] == "b") & (scores["condition"] == "avt"), "wa"] = 0.98765
    scores.loc[(scores["system"] == "b") & (scores["condition"] == "a"), "ua"] = 0.00004

    tables.write_markdown(tmp_path / "t.md", averaging.table(scores, ["x", "b"]), ["First.", "Second."])

    lines = (tmp_path / "t.md").read_text("utf-8").splitlines()
    heads = [cell.strip() for cell in lines[0].strip("|").split("|")]
    cells = [cell.strip() for cell in lines[3].strip("|").split("|")]
    assert [cell.strip() for cell in lines[2].split("|")][1] == "x"
    assert heads[:3] == ["System", "{a} WA", "{a} UA"]
    assert heads[-4:] == ["Average WA", "Average UA", "{a,v,t} WA", "{a,v,t} UA"]
    assert cells == ["b", "0.3333", "0.0000", *["0.3333", "0.1111"] * 6, "0.9877", "0.1111"]
    assert [line.strip() for line in lines[4:]] == ["", "First.", "Second."]


def test_confusion_pairs_are_class_names(tmp_path):
    pairs = pd.DataFrame({"actual": ["sad", "sad"], "predicted": ["sad", "angry"]})

    tables.write_confusion(tmp_path / "c.csv", pairs)

    assert (tmp_path / "c.csv").read_text("utf-8") == "actual,predicted\nsad,sad\nsad,angry\n"
