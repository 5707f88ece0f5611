"""Table 1 and the tables behind it, as they are written."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import samples
import yaml

from conftest import ROOT
from ifmmin.core.files import ArtifactError
from ifmmin.results import curves, table1, tables


def test_scores_have_a_row_for_each_run_and_condition(tmp_path):
    tables.write_scores(tmp_path / "s.csv", samples.scores())

    got = pd.read_csv(tmp_path / "s.csv")
    assert list(got.columns) == ["system", "fold", "seed", "condition", "wa", "ua"]
    assert got.to_dict("list") == samples.scores().to_dict("list")


def test_the_json_has_systems_in_row_order_and_unrounded_numbers(tmp_path):
    """The order is x, b. WA of b is 1/3 and its UA 1/9."""
    table = table1.table(samples.scores(), ["x", "b"])

    tables.write_nested(tmp_path / "t.json", table1.nested(table))

    got = json.loads((tmp_path / "t.json").read_text("utf-8"))
    assert list(got) == ["x", "b"]
    assert list(got["x"]) == ["average", "a", "v", "t", "av", "at", "vt", "avt"]
    assert got["b"]["a"] == {"ua": 1 / 3 / 3, "wa": 1 / 3}


def test_the_json_has_no_entry_for_a_missing_cell(tmp_path):
    """System b does not predict the full input."""
    tables.write_nested(tmp_path / "t.json", table1.nested(samples.table()))

    got = json.loads((tmp_path / "t.json").read_text("utf-8"))
    assert list(got["x"]) == ["average", "a", "v", "t", "av", "at", "vt", "avt"]
    assert list(got["b"]) == ["average", "a", "v", "t", "av", "at", "vt"]


def test_the_summary_has_the_average_of_each_system(tmp_path):
    """WA of x is 0.5 and 0.75; UA is a third of it."""
    tables.write_summary(tmp_path / "s.json", tmp_path / "s", table1.nested(samples.table()))

    got = {path.name: json.loads(path.read_text("utf-8")) for path in (tmp_path / "s").iterdir()}
    assert got.keys() == {"x.json", "b.json"}
    assert got["x.json"] == {"ua": pytest.approx(0.625 / 3), "wa": 0.625}
    together = json.loads((tmp_path / "s.json").read_text("utf-8"))
    assert together == {"x": got["x.json"], "b": got["b.json"]}
    assert list(together) == ["x", "b"]  # the order of Table 1


def test_the_summary_drops_systems_that_left_the_table(tmp_path):
    nested = table1.nested(samples.table())
    tables.write_summary(tmp_path / "s.json", tmp_path / "s", nested)

    tables.write_summary(tmp_path / "s.json", tmp_path / "s", {"b": nested["b"]})

    assert [path.name for path in (tmp_path / "s").iterdir()] == ["b.json"]


def test_dvc_metrics_show_has_a_row_per_system_and_fits_100_columns(tmp_path):
    """With real DVC, the metrics of dvc.yaml and the systems of params.yaml."""
    pipeline, params = (yaml.safe_load((ROOT / n).read_text("utf-8")) for n in ("dvc.yaml", "params.yaml"))
    [folder] = pipeline["metrics"]
    averages = {row: {"average": {"ua": 2 / 3, "wa": 1 / 3}} for row in params["rows"]}
    tables.write_summary(tmp_path / "summary.json", tmp_path / folder, averages)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"metrics": [folder]}), "utf-8")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = True\n    analytics = false\n", "utf-8")

    command = [Path(sys.executable).with_name("dvc"), "metrics", "show"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    head, *lines = (line.split() for line in shown.splitlines())
    assert head == ["Path", "ua", "wa"]
    assert sorted(lines) == sorted([f"{folder}/{row}.json", "0.66667", "0.33333"] for row in params["rows"])
    assert max(map(len, shown.splitlines())) <= 100


def test_the_csv_has_all_columns_and_empty_cells_for_missing_values(tmp_path):
    """System x has two folds (0.5, 0.75); b has one run, marks in condition a and no full input."""
    shuffled = samples.table()[["ua_marks", "n_seeds", "system", "wa", "ua", "wa_std"]].join(
        samples.table()[
            ["condition", "ua_std", "n_folds", "wa_marks", "ua_high", "wa_low", "ua_low", "wa_high", "note"]
        ]
    )

    tables.write_table(tmp_path / "t.csv", shuffled)

    lines = (tmp_path / "t.csv").read_text("utf-8").splitlines()
    intervals = f"0.1,,{1 / 3},,"
    assert lines[0] == (
        "system,condition,wa,ua,wa_std,ua_std,n_folds,n_seeds,wa_marks,ua_marks,wa_low,wa_high,ua_low,ua_high,note"
    )
    assert lines[1].startswith("x,average,0.625,0.2083333333333333")
    assert lines[1].endswith(f",2,1,,,{intervals}")
    assert lines[9] == f"b,average,{1 / 3},{1 / 3 / 3},,,1,1,,,{intervals}"
    assert lines[10] == f"b,a,{1 / 3},{1 / 3 / 3},,,1,1,↑⇑,*+,{intervals}"
    assert lines[16] == f"b,avt,,,,,0,0,,,{intervals}"


def test_confusions_have_a_row_for_each_pair_of_classes(tmp_path):
    tables.write_confusions(tmp_path / "c.csv", table1.confusions(samples.runs(), samples.CLASSES))

    assert (tmp_path / "c.csv").read_text("utf-8").splitlines() == [
        "system,condition,actual,predicted,count,share",
        "x,a,angry,angry,1,0.5",
        "x,a,angry,sad,1,0.5",
        "x,a,sad,angry,0,0.0",
        "x,a,sad,sad,1,1.0",
        "b,avt,angry,angry,1,0.5",
        "b,avt,angry,sad,1,0.5",
        "b,avt,sad,angry,0,0.0",
        "b,avt,sad,sad,1,1.0",
    ]


def test_the_share_of_a_class_without_utterances_is_empty(tmp_path):
    sad = pd.DataFrame({"condition": ["v"], "label": [1], "predicted": [0]})

    tables.write_confusions(tmp_path / "c.csv", table1.confusions({("x", 1, 0): sad}, samples.CLASSES))

    assert (tmp_path / "c.csv").read_text("utf-8").splitlines()[1:3] == [
        "x,v,angry,angry,0,",
        "x,v,angry,sad,0,",
    ]


def test_recalls_have_a_row_for_each_class(tmp_path):
    tables.write_recalls(tmp_path / "r.csv", table1.recalls(samples.runs(), samples.CLASSES))

    assert (tmp_path / "r.csv").read_text("utf-8").splitlines() == [
        "system,condition,class,recall",
        "x,a,angry,0.5",
        "x,a,sad,1.0",
        "b,avt,angry,0.5",
        "b,avt,sad,1.0",
    ]


@pytest.mark.parametrize("write", [tables.write_significance, tables.write_comparison])
def test_significance_and_comparison_are_written_unchanged(tmp_path, write):
    write(tmp_path / "t.csv", samples.TESTS)

    assert (tmp_path / "t.csv").read_text("utf-8").splitlines() == [
        "other,p,note",
        f"mmin,{1 / 3},",
        'mctn,,"λ, one fold"',
    ]


def test_a_table_reads_back_the_same_with_its_empty_cells(tmp_path):
    tables.write_table(tmp_path / "t.csv", samples.table())

    pd.testing.assert_frame_equal(
        tables.read(tmp_path / "t.csv", "table"), samples.table(), check_dtype=False
    )


def test_a_class_may_be_called_none_or_01(tmp_path):
    counts = pd.DataFrame(
        {
            "system": "x",
            "condition": "a",
            "actual": ["None", "01"],
            "predicted": "NA",
            "count": 1,
            "share": 0.5,
        }
    )
    tables.write_confusions(tmp_path / "c.csv", counts)

    pd.testing.assert_frame_equal(tables.read(tmp_path / "c.csv", "confusion"), counts, check_dtype=False)


def test_a_table_with_wrong_columns_is_named(tmp_path):
    tables.write_scores(tmp_path / "t.csv", samples.scores())

    with pytest.raises(
        ArtifactError, match=r"t\.csv: columns are system, fold.*expected system, condition, wa"
    ):
        tables.read(tmp_path / "t.csv", "table")


def test_records_of_runs_read_back_the_same(tmp_path):
    records = {("x", 1, 0): samples.RUN, ("b", 2, 3): {**samples.RUN, "pretrained": None}}

    tables.write_runs(tmp_path / "runs.json", records)

    assert tables.read_runs(tmp_path / "runs.json") == records


@pytest.mark.parametrize(
    ("name", "column"), [("curves", "validation_ua"), ("fig3a", "x"), ("fig3b", "L_inv")]
)
def test_curves_with_a_missing_column_are_named(tmp_path, name, column):
    words = ("system", "network", "utterance_id", "condition", "class")
    table = pd.DataFrame({c: ["1" if c in words else 1] for c in curves.REQUIRED[name]})
    curves.write(tmp_path / "c.csv", table)
    pd.testing.assert_frame_equal(curves.read(tmp_path / "c.csv", name), table)

    curves.write(tmp_path / "c.csv", table.drop(columns=column))

    with pytest.raises(ArtifactError, match=f"column '{column}' is missing"):
        curves.read(tmp_path / "c.csv", name)
