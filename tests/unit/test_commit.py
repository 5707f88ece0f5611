"""The commit that a copy of the report names."""

import subprocess

import pytest

from ifmmin.cli import project


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        command = ["git", "-C", tmp_path, "-c", "user.name=n", "-c", "user.email=e@x", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "params.yaml").write_text("lambda2: 100\n")
    (tmp_path / "dvc.lock").write_text("a\n")
    git("add", ".")
    git("commit", "-qm", "first")
    return tmp_path, git("rev-parse", "HEAD")


def test_the_commit_is_named_by_ten_digits(repository):
    folder, commit = repository

    assert project.commit(folder) == commit[:10]


def test_new_results_are_no_change(repository):
    folder, commit = repository
    (folder / "dvc.lock").write_text("b\n")

    assert project.commit(folder) == commit[:10]


def test_changed_parameters_are_reported(repository):
    folder, commit = repository
    (folder / "params.yaml").write_text("lambda2: 10\n")

    assert project.commit(folder) == f"{commit[:10]}, with uncommitted changes to code or parameters"


def test_a_folder_without_a_repository_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert project.commit(tmp_path).startswith("unknown (fatal: not a git repository")
