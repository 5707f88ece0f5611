"""README badges, links, hooks and the devcontainer are correct."""

import json
import re
import tomllib

import pytest
import yaml

from architecture.project import ROOT, stages

README = (ROOT / "README.md").read_text("utf-8")


def pinned(name):
    return re.search(rf"^{name}==(\S+)$", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)[1]


def badges():
    """Label and message of each badge with a fixed text."""
    return dict(re.findall(r"img\.shields\.io/badge/([^-]+)-(.+)-\w+\)", README))


def test_badges_show_the_pinned_versions():
    assert badges() == {
        "python": "3.11+",
        "DVC": pinned("dvc"),
        "torch": pinned("torch"),
        "licence": "MIT",
    }
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License")


def test_the_ci_badge_belongs_to_the_workflow_that_runs_the_gate():
    [path] = set(re.findall(r"\.\./\.\./actions/workflows/(\w+\.yml)", README))
    workflow = yaml.safe_load((ROOT / ".github/workflows" / path).read_text("utf-8"))

    steps = workflow["jobs"]["ci"]["steps"]
    assert {"run": "bash .ci/run"} in steps
    assert "pull_request" in workflow[True]  # YAML 1.1 reads `on` as true
    assert any("dvc metrics diff" in step.get("run", "") for step in steps)
    assert any("gh pr comment" in step.get("run", "") for step in steps)


def test_every_stage_has_a_description():
    assert [name for name, stage in stages().items() if not stage.get("desc")] == []


def test_links_inside_the_repository_are_valid():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        links = re.findall(r"\]\((?!https?:|#|\.\./\.\./actions)([^)#]+)", page.read_text("utf-8"))

        assert [link for link in links if not (page.parent / link).exists()] == [], page


def test_commit_hooks_use_only_installed_tools():
    [repo] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]

    assert repo["repo"] == "local"
    assert {hook["entry"].split()[0] for hook in repo["hooks"]} == {"ruff", "mypy", "pytest"}
    assert all(hook["language"] == "system" for hook in repo["hooks"])


def test_the_devcontainer_installs_the_requirements():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))

    assert "pip install --user -r requirements-dev.txt" in container["postCreateCommand"]


def test_the_modules_to_mutate_and_their_tests_exist():
    """A pattern that matches no file is ignored by mutmut."""
    mutmut = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    paths = [*mutmut["only_mutate"], *mutmut["pytest_add_cli_args_test_selection"]]

    assert [path for path in paths if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize(
    "guide", ["bring_your_corpus", "add_a_system", "run_on_a_cluster", "reproduce_the_paper"]
)
def test_the_readme_links_every_guide(guide):
    assert f"docs/{guide}.md" in README
