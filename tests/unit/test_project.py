"""Finding the project a command works on."""

import pytest

from ifmmin.cli import project
from ifmmin.core.errors import UserError


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A project folder with subfolders, as the working directory."""
    folder = tmp_path / "clone"
    (folder / "docs" / "more").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).write_text("a: 1\n", "utf-8")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("below", [".", "docs", "docs/more"])
def test_the_project_is_the_working_directory_or_a_parent(clone, monkeypatch, below):
    monkeypatch.chdir(clone / below)

    assert project.root() == project.find() == clone


def test_outside_a_project_the_error_says_so(clone, monkeypatch):
    monkeypatch.chdir(clone.parent)

    assert project.find() is None
    with pytest.raises(
        UserError, match=r"is not inside a project; expected dvc.yaml and params.yaml in this"
    ):
        project.root()


@pytest.mark.parametrize("name", ["dvc.yaml", "dvc.lock", "params.yaml"])
def test_conflict_markers_give_an_error_with_a_remedy(clone, name):
    project.check_merged(clone)
    (clone / name).write_text("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n", "utf-8")

    with pytest.raises(
        UserError, match=rf"^{name}: has unresolved merge conflicts.* --ours dvc.lock metrics"
    ):
        project.check_merged(clone)
