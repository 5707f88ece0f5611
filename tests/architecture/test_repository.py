"""What the repository says of itself at first sight is true."""

import json
import re

import pytest
import yaml

from architecture.project import ROOT, stages

README = (ROOT / "README.md").read_text("utf-8")


def pinned(name):
    return re.search(rf"^{name}==(\S+)$", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)[1]


def badges():
    """Label and message of each badge that has them in its address."""
    return dict(re.findall(r"img\.shields\.io/badge/([^-]+)-(.+)-\w+\)", README))


def test_badges_say_what_is_pinned():
    assert badges() == {
        "python": "3.11+",
        "DVC": pinned("dvc"),
        "torch": pinned("torch"),
        "licence": "MIT",
    }
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License")


def test_the_badge_of_ci_is_that_of_the_workflow_which_calls_the_one_gate():
    [path] = set(re.findall(r"\.\./\.\./actions/workflows/(\w+\.yml)", README))
    workflow = yaml.safe_load((ROOT / ".github/workflows" / path).read_text("utf-8"))

    steps = workflow["jobs"]["ci"]["steps"]
    assert {"run": "bash .ci/run"} in steps
    assert "pull_request" in workflow[True]  # YAML 1.1 reads `on` as true
    assert any("dvc metrics diff" in step.get("run", "") for step in steps)
    assert any("gh pr comment" in step.get("run", "") for step in steps)


def test_every_stage_is_described():
    assert [name for name, stage in stages().items() if not stage.get("desc")] == []


def test_links_inside_the_repository_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        links = re.findall(r"\]\((?!https?:|#|\.\./\.\./actions)([^)#]+)", page.read_text("utf-8"))

        assert [link for link in links if not (page.parent / link).exists()] == [], page


def test_hooks_before_a_commit_run_what_is_installed():
    [repo] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]

    assert repo["repo"] == "local"
    assert {hook["entry"].split()[0] for hook in repo["hooks"]} == {"ruff", "mypy", "pytest"}
    assert all(hook["language"] == "system" for hook in repo["hooks"])


def test_the_devcontainer_installs_the_requirements():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))

    assert "pip install --user -r requirements-dev.txt" in container["postCreateCommand"]


@pytest.mark.parametrize(
    "guide", ["bring_your_corpus", "add_a_system", "run_on_a_cluster", "reproduce_the_paper"]
)
def test_the_readme_leads_to_every_guide(guide):
    assert f"docs/{guide}.md" in README
