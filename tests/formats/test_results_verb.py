"""`ifmmin results`, and the end of `ifmmin run`: Table 1 on standard output."""

import json
import shutil
from html import escape

import pandas as pd
import pytest
import samples
import yaml

from conftest import ROOT
from ifmmin.cli import main, project, results, run
from ifmmin.core.errors import UserError
from ifmmin.corpus import features
from ifmmin.report import page
from ifmmin.results import tables

SYNTHETIC = "The corpus is synthetic: the table shows that the pipeline works, not that"
RUN = {
    **{stage: {"device": "cpu", "precision": "float32"} for stage in ("pretrained", "trained", "evaluated")},
    "collapsed": [],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project with the results of two systems: mmin (UA 20.8 on average) and the proposed if_mmin."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    paths = project.options((tmp_path / "dvc.yaml").read_text("utf-8"), "aggregate")
    table = samples.table().replace({"system": {"x": "mmin", "b": "if_mmin"}})
    tables.write_table(tmp_path / paths["--csv"], table)
    tables.write_runs(tmp_path / paths["--runs"], {("mmin", 1, 0): RUN, ("if_mmin", 1, 0): RUN})
    tests = pd.DataFrame(columns=tables.COLUMNS["significance"])
    tables.write_significance(tmp_path / paths["--significance"], tests)
    features.write_tables(tmp_path / paths["--features"], samples.INDEX, samples.PACK_FOLDS, samples.CORPUS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_options_are_those_of_the_command_of_a_stage():
    text = "stages:\n  a:\n    cmd: >-\n      python -m a x --in 'b c'\n      --out d\n"

    assert project.options(text, "a") == {"--in": "b c", "--out": "d"}
    assert project.options(text, "absent") == {}


def test_the_verb_prints_the_table_on_standard_output(folder, capsys, monkeypatch):
    """From a folder inside the project. WA of mmin is 0.625, that of if_mmin 1/3."""
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")

    main.main(["results", "--metric", "wa"])

    output = capsys.readouterr()
    rows = [line.split() for line in output.out.splitlines()]
    assert ["MMIN", *["62.5"] * 8] in rows
    assert [">", "IF-MMIN", *["33.3"] * 7, "\N{EN DASH}"] in rows
    assert SYNTHETIC in output.out
    assert output.err == ""


def test_a_real_corpus_has_no_note_that_differences_mean_nothing(folder):
    path = folder / "data/features/corpus.json"
    path.write_text(json.dumps(samples.CORPUS | {"synthetic": False}), "utf-8")

    assert "synthetic:" not in results.text(folder, "text", "ua")


def test_the_text_explains_no_std_since_it_shows_none(folder):
    assert "±" in results.text(folder, "markdown", "ua")
    assert "±" not in results.text(folder, "text", "ua")


def test_each_format_has_the_chosen_metric_alone(folder):
    """UA of mmin is 0.625 / 3."""
    markdown, latex, csv = (results.text(folder, form, "ua") for form in ("markdown", "latex", "csv"))

    assert "| MMIN     | 20.8 ±5.9 |" in markdown
    assert r"MMIN & 20.8 {\scriptsize$\pm$5.9} &" in latex
    assert "62.5" not in markdown + latex
    assert csv.splitlines()[0] == "system,condition,ua,ua_std,n_folds,n_seeds,ua_marks,ua_low,ua_high,note"
    assert csv.splitlines()[1].startswith("mmin,average,0.2083333333333333")


@pytest.mark.parametrize("option", ["--csv", "--runs", "--significance"])
def test_missing_results_are_an_error_that_names_the_commands(folder, option):
    path = folder / project.options((ROOT / "dvc.yaml").read_text("utf-8"), "aggregate")[option]
    path.unlink()

    with pytest.raises(UserError, match=r"does not exist; .* Run `ifmmin run` or `dvc repro`") as caught:
        results.text(folder, "text", "ua")
    assert str(caught.value).startswith(str(path))


def test_a_run_ends_with_the_table_and_the_other_files(folder, capsys):
    run.print_results(folder, {"aggregate": "ran", "dvc.yaml:report": "restored"})

    output = capsys.readouterr()
    *_, last = output.out.splitlines()
    assert results.text(folder, "text", "ua") in output.out
    assert (
        last == "More: metrics/report.html, metrics/table1.md, metrics/table1.tex, metrics/significance.csv"
    )
    assert output.err == ""


def test_a_page_that_the_run_did_not_update_is_not_named(folder, capsys):
    run.print_results(folder, {"aggregate": "ran", "report": "skipped"})

    assert "More: metrics/table1.md" in capsys.readouterr().out


@pytest.mark.parametrize("outcomes", [{"split": "ran"}, {"aggregate": "failed"}, {"aggregate": "skipped"}])
def test_a_run_without_a_new_table_prints_none(folder, capsys, outcomes):
    run.print_results(folder, outcomes)

    assert capsys.readouterr().out == ""


def test_a_project_whose_aggregate_writes_another_table_prints_none(folder, capsys):
    stages = {"aggregate": {"cmd": "cat predictions/* > all"}}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), "utf-8")

    run.print_results(folder, {"aggregate": "ran"})

    assert capsys.readouterr().out == ""


def test_the_report_is_printed_with_the_commit(folder):
    """The file itself has none, so equal results give equal bytes."""
    path = folder / project.options((folder / "dvc.yaml").read_text("utf-8"), "report")["--out"]
    path.write_text(f"<dt>commit</dt><dd>{escape(page.NO_COMMIT)}</dd>", "utf-8")

    assert results.report(folder).startswith("<dt>commit</dt><dd>unknown (fatal: not a git repository")


def test_without_a_report_there_is_one_message(folder):
    with pytest.raises(UserError, match=r"report.html: does not exist; expected the results of a run"):
        results.report(folder)
