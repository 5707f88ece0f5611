"""The templates of `dvc plots` fit the tables that they draw, and DVC can fill them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import samples
import yaml

from conftest import ROOT
from ifmmin.report import figures, palette
from ifmmin.results import table1, tables

TEMPLATES = sorted((ROOT / ".dvc/plots").glob("*.json"))
OURS = {"confusion_by_system": "confusion.csv", "recall_by_system": "recalls.csv"}
"""Template to the table that it draws."""

ADDED = {"rev"}
"""The column that DVC adds to each row: its revision."""

ANCHOR = re.compile(r"<DVC_METRIC_(\w+)>")


def template(name):
    return json.loads((ROOT / ".dvc/plots" / f"{name}.json").read_text("utf-8"))


def plots():
    """The plots of dvc.yaml, by name."""
    entries = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["plots"]
    return {name: properties for entry in entries for name, properties in entry.items()}


def ours():
    """The plots of dvc.yaml that use our templates: name to template, x, table and y."""
    return {
        name: (plot["template"], plot["x"], *next(iter(plot["y"].items())))
        for name, plot in plots().items()
        if plot["template"] in OURS
    }


def write(folder):
    tables.write_confusions(folder / "confusion.csv", table1.confusions(samples.runs(), samples.CLASSES))
    tables.write_recalls(folder / "recalls.csv", table1.recalls(samples.runs(), samples.CLASSES))


@pytest.fixture
def columns(tmp_path):
    """Table to its columns, as written."""
    write(tmp_path)
    return {file: list(pd.read_csv(tmp_path / file).columns) for file in OURS.values()}


def walk(node):
    """Every JSON object in a template, including itself."""
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from walk(value)


def test_dvc_yaml_uses_exactly_the_templates_that_exist():
    used = {plot["template"] for plot in plots().values()}

    assert used == {path.stem for path in TEMPLATES}


def test_dvc_yaml_draws_the_tables_of_the_two_templates():
    assert ours() == {
        "Confusion matrices": ("confusion_by_system", "predicted", "metrics/confusion.csv", "actual"),
        "Class recall": ("recall_by_system", "class", "metrics/recalls.csv", "recall"),
    }


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_templates_take_data_title_and_axes_from_dvc(path):
    content = json.loads(path.read_text("utf-8"))

    assert content["data"] == {"values": "<DVC_METRIC_DATA>"}
    assert content["title"]["text"] == "<DVC_METRIC_TITLE>"
    assert {"X", "Y", "X_LABEL", "Y_LABEL"} <= set(ANCHOR.findall(path.read_text("utf-8")))


@pytest.mark.parametrize("name", OURS)
def test_templates_use_only_columns_of_their_table_or_calculated_ones(name, columns):
    content = template(name)
    known = {*columns[OURS[name]], *ADDED, "<DVC_METRIC_X>", "<DVC_METRIC_Y>"}
    calculated = {node["as"] for node in walk(content) if "as" in node}
    named = {node["field"] for node in walk(content) if "field" in node}
    named |= {field for node in walk(content["transform"]) for field in node.get("groupby", [])}
    named |= {node["key"] for node in content["transform"] if "key" in node}
    named |= {node["impute"] for node in content["transform"] if "impute" in node}
    expressions = [node[key] for node in walk(content) for key in ("calculate", "test") if key in node]
    named |= set(re.findall(r"datum\.(\w+)", " ".join(expressions)))

    assert calculated.isdisjoint(known)
    assert named - known - calculated == set()
    assert calculated - named == set()


@pytest.mark.parametrize("name", OURS)
def test_each_revision_has_its_own_row_or_panel(name):
    """The names of rows and panels contain the revision if DVC passes several."""
    content = template(name)
    facet = content["facet"].get("row", content["facet"])
    [calculated] = [node for node in content["transform"] if node.get("as") == facet["field"]]

    assert re.search(r"datum\.revs > 1 \?.* datum\.rev\b", calculated["calculate"])


@pytest.mark.parametrize("name", ["by_training", "loss_by_training"])
def test_the_panels_of_trainings_use_columns_of_their_table(name):
    """Panels have the order of the table, runs are separate lines, and revisions have colours."""
    table = figures.trainings({("x", 1, 0): samples.HISTORY})
    content = template(name)
    drawn = {
        (plot["x"], *next(iter(plot["y"].items()))) for plot in plots().values() if plot["template"] == name
    }

    assert content["facet"]["field"] == "training"
    assert content["facet"]["sort"] == {"field": "place", "op": "min"}
    assert content["spec"]["encoding"]["detail"]["field"] == "run"
    assert content["spec"]["encoding"]["color"]["field"] == "rev"
    assert {"training", "run"} <= set(table)
    assert {(x, file) for x, file, _ in drawn} == {("step", "metrics/trainings.csv")}
    assert {"step", *(y for _, _, y in drawn)} <= set(table)


@pytest.mark.parametrize("name", ["by_system", "recall_by_system"])
def test_the_colours_of_systems_are_those_of_the_report(name):
    """A template knows no systems, so its colours are those of the default rows, in their order."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    looks = palette.looks(params["rows"], params["names"], params["comparison"])
    [scale] = [
        node["scale"] for node in walk(template(name)) if node.get("field") == "system" and "scale" in node
    ]

    assert scale["range"] == [looks[row].colour for row in params["rows"]]


def test_systems_and_classes_have_the_order_of_the_table():
    """Without `sort`, Vega would order them by name."""
    sorts = {
        name: [node.get("sort", "by name") for node in walk(template(name)) if node.get("type") == "nominal"]
        for name in OURS
    }

    row, column, panel = ({"field": f"{what}_place", "op": "min"} for what in ("row", "column", "panel"))
    assert sorts == {
        "confusion_by_system": [row, column, None, None],
        "recall_by_system": [panel, None, None, None],
    }


def test_a_condition_that_a_system_does_not_predict_is_an_empty_cell(columns):
    """Without rows for the empty cell, Vega would shift the other cells under wrong headers."""
    content = template("confusion_by_system")
    x, y = ours()["Confusion matrices"][1], ours()["Confusion matrices"][3]
    [(place, impute)] = [(n, step) for n, step in enumerate(content["transform"]) if "impute" in step]
    filled = {"<DVC_METRIC_X>": x, "<DVC_METRIC_Y>": y}
    keys = {filled.get(field, field) for field in impute["groupby"]} | {impute["key"]}

    assert keys == {*columns["confusion.csv"], *ADDED} - {"count", "share"}
    assert impute["key"] == content["facet"]["column"]["field"]
    assert not any("filter" in node for node in walk(content))
    assert place < next(n for n, step in enumerate(content["transform"]) if step.get("as") == "row")


def test_dvc_fills_the_templates(tmp_path):
    """In a repository with only these plots. An anchor that remains was not filled by DVC."""
    dvc = Path(sys.executable).with_name("dvc")
    write(tmp_path / "metrics")
    shutil.copytree(ROOT / ".dvc/plots", tmp_path / ".dvc/plots")
    entries = [{name: plot} for name, plot in plots().items() if name in ours()]
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"plots": entries}, sort_keys=False), "utf-8")
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = True\n    analytics = false\n", "utf-8")

    done = subprocess.run(
        [dvc, "plots", "show", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    output = json.loads(done.stdout)
    assert "errors" not in output
    for name, (_, x, file, y) in ours().items():
        [drawn] = output["data"][name]
        content = json.loads(drawn["content"]) if isinstance(drawn["content"], str) else drawn["content"]
        assert len(content["data"]["values"]) == len(pd.read_csv(tmp_path / file))
        assert not ANCHOR.search(json.dumps(content))
        assert {x, y} <= {node["field"] for node in walk(content["spec"]) if "field" in node}
