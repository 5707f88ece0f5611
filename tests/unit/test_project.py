"""Where the project is that a command is about."""

import pytest

from ifmmin.cli import project
from ifmmin.core.errors import UserError


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with the files of a project, and the function that goes to one below it."""
    folder = tmp_path / "clone"
    (folder / "docs" / "more").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).write_text("a: 1\n", "utf-8")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("below", [".", "docs", "docs/more"])
def test_the_project_is_the_folder_or_one_above(clone, monkeypatch, below):
    monkeypatch.chdir(clone / below)

    assert project.root() == project.find() == clone


def test_elsewhere_there_is_no_project_and_it_is_said(clone, monkeypatch):
    monkeypatch.chdir(clone.parent)

    assert project.find() is None
    with pytest.raises(UserError, match=r"is in no project; expected dvc.yaml and params.yaml in this"):
        project.root()


@pytest.mark.parametrize("name", ["dvc.yaml", "dvc.lock", "params.yaml"])
def test_conflict_markers_are_named_with_the_way_out(clone, name):
    project.check_merged(clone)
    (clone / name).write_text("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n", "utf-8")

    with pytest.raises(UserError, match=rf"^{name}: holds the conflict markers .* --ours dvc.lock metrics"):
        project.check_merged(clone)
