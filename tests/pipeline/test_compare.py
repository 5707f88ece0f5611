"""`ifmmin compare` on experiments, commits, the workspace, and results that only a remote has."""

import json
import shutil
import sys

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

READERS = {"if_mmin", "if_mmin_no_cascade"}


@pytest.fixture(scope="module")
def experiment(reproduced, tmp_path_factory):
    """A copy of the small project with an experiment, pushed to a remote; the workspace is at the commit."""
    folder = tmp_path_factory.mktemp("experiment")
    shutil.copytree(reproduced.folder, folder / "project", symlinks=True)
    project = type(reproduced)(folder / "project")
    project.run("dvc", "remote", "add", "-d", "store", str(folder / "store"))
    project.commit("remote")
    project.run("dvc", "exp", "run", "--name", "weak", "-S", "lambda2=0")
    project.run("dvc", "push")
    project.run("git", "checkout", "-q", "--", ".")
    project.run("dvc", "checkout")
    project.run("dvc", "push")
    return project


def compared(project, *revisions, check=True):
    return project.run(sys.executable, "-m", "ifmmin", "compare", *revisions, check=check)


def table(project, name):
    return pd.read_csv(project.folder / "ablations" / f"{name}.csv")


def test_an_experiment_is_compared_with_a_commit(experiment):
    """The means are those of both table1.json; only systems that read the parameter differ."""
    output = compared(experiment, "HEAD", "weak").stdout

    lines = table(experiment, "HEAD..weak")
    before = json.loads(experiment.read("metrics/table1.json"))
    ref = experiment.run("git", "show-ref").stdout
    [commit] = [line.split()[0] for line in ref.splitlines() if line.endswith("/weak")]
    after = json.loads(experiment.run("git", "show", f"{commit}:metrics/table1.json").stdout)
    assert "- `lambda2`: 100 -> 0\n" in output.replace("100.0", "100").replace("0.0\n", "0\n")
    for row in lines.to_dict("records"):
        cell = row["system"], row["condition"], row["metric"]
        assert row["reference"] == pytest.approx(before[cell[0]][cell[1]][cell[2]]), cell
        assert row["other"] == pytest.approx(after[cell[0]][cell[1]][cell[2]]), cell
        assert row["low"] <= row["difference"] + 1e-12, cell
        assert row["difference"] <= row["high"] + 1e-12, cell
    changed = set(lines.loc[lines[["low", "high"]].any(axis=1), "system"])
    assert changed
    assert changed <= READERS
    assert len(lines) == 9 * 7 * 2
    assert experiment.read("ablations/HEAD..weak.md") in output


def test_each_other_revision_has_its_own_table(experiment):
    output = compared(experiment, "weak", "HEAD", "workspace").stdout

    assert "## HEAD vs. weak" in output
    assert "## workspace vs. weak" in output
    of_head, of_workspace = (table(experiment, f"weak..{name}") for name in ("HEAD", "workspace"))
    pd.testing.assert_frame_equal(of_head, of_workspace)
    compared(experiment, "HEAD", "weak")
    reversed_table = table(experiment, "HEAD..weak")
    pd.testing.assert_series_equal(of_head["difference"], -reversed_table["difference"])


def test_a_revision_alone_is_compared_with_the_workspace(experiment):
    output = compared(experiment, "HEAD").stdout

    assert "## workspace vs. HEAD" in output
    assert "no change in params.yaml" in output
    assert "No difference on any utterance in the six conditions: mctn, mmin" in output


def test_missing_predictions_are_fetched_from_the_remote_or_named(experiment, tmp_path):
    shutil.copytree(experiment.folder, tmp_path / "copy", symlinks=True)
    copy = type(experiment)(tmp_path / "copy")
    shutil.rmtree(copy.folder / ".dvc/cache")
    shutil.rmtree(copy.folder / "data/predictions")

    compared(copy, "HEAD", "weak")
    assert len(table(copy, "HEAD..weak")) == 9 * 7 * 2

    copy.run("dvc", "remote", "modify", "store", "url", str(tmp_path / "nothing here"))
    copy.commit("another remote")
    done = compared(copy, "HEAD", "weak", check=False)
    assert done.returncode == 1
    assert "HEAD: data/predictions/mctn/1-0.parquet is neither in the cache nor in a remote." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_params_file_without_results_is_refused(experiment, tmp_path):
    shutil.copytree(experiment.folder, tmp_path / "copy", symlinks=True)
    copy = type(experiment)(tmp_path / "copy")
    (copy.folder / "params.yaml").write_text(
        copy.read("params.yaml").replace("lambda2: 100", "lambda2: 7"), "utf-8"
    )

    done = compared(copy, "HEAD", check=False)

    assert done.returncode == 1
    assert "workspace: params.yaml has lambda2 7" in done.stderr
    assert "its results were made with 100" in done.stderr


def test_an_unknown_revision_is_named(experiment):
    done = compared(experiment, "HEAD", "waek", check=False)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("waek: ")
    assert "Expected a commit, branch, tag, experiment or workspace." in done.stderr


def test_an_experiment_on_another_corpus_is_refused(experiment, tmp_path):
    shutil.copytree(experiment.folder, tmp_path / "copy", symlinks=True)
    copy = type(experiment)(tmp_path / "copy")
    changes = ("-S", "rows=[late_fusion_floor]", "-S", "synthesize.seed=7")
    copy.run("dvc", "exp", "run", "--name", "other", *changes, "aggregate")

    done = compared(copy, "HEAD", "other", check=False)

    assert done.returncode == 1
    assert "expected the same corpus and folds" in done.stderr
