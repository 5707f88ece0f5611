"""`dvc exp run --temp` and `--queue` run the code of their own copy, even if another clone is importable."""

import pytest

from conftest import ROOT

pytestmark = pytest.mark.slow


def changed(project):
    """Change a note below Table 1 in the project's library."""
    marks = project.folder / "ifmmin/results/table1.py"
    text = marks.read_text("utf-8")
    assert "mean over" in text
    marks.write_text(text.replace("mean over", "MEAN over"), "utf-8")
    return project


def table_of(project, experiment):
    project.run("dvc", "exp", "apply", experiment)
    return project.read("metrics/table1.md")


def test_an_experiment_in_a_temporary_folder_uses_the_changed_code(project):
    run = changed(project).run(
        "dvc", "exp", "run", "--temp", "--name", "temp", "aggregate", PYTHONPATH=str(ROOT)
    )

    assert "Running stage 'aggregate'" in run.stdout
    assert "MEAN over" in table_of(project, "temp")


def test_a_queued_experiment_uses_the_code_at_the_time_of_queueing(project):
    changed(project).run("dvc", "exp", "run", "--queue", "--name", "queued", "aggregate")
    project.run("git", "checkout", "-q", "ifmmin")

    project.run("dvc", "exp", "run", "--run-all", PYTHONPATH=str(ROOT))

    assert "MEAN over" in table_of(project, "queued")
