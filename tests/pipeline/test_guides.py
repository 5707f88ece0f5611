"""The commands of README and guides run on the small project and print what the pages show.

A ```console block has commands after `$` and below each the lines that its output must contain, in that
order. `...` matches anything, and a number matches any number. A command without output must exit with 0. A
comment above a block says which file runs it if it cannot run here.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.conftest import ROOT, Project, add_system

PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]
TOOLS = ("bash", "dask", "dvc", "git", "grep", "pip", "pytest", "python", "ruff", "mypy")
MARK = "@@ended"
NUMBER = r"(?:\\?[+-])?\d+(?:\\\.\d+)?"
"""A number after re.escape."""


class Block(NamedTuple):
    """Commands with the output that the page shows, and the comment above the block."""

    commands: list[tuple[str, str]]
    comment: str


def blocks(page):
    """The console blocks of a page, in order."""
    text = (ROOT / page).read_text("utf-8")
    result = []
    for match in re.finditer(r"(?:<!-- (.*?) -->\n)?```console\n(.*?)```", text, re.DOTALL):
        parts = re.split(r"^\$ ", match[2], flags=re.MULTILINE)
        assert parts[0] == "", f"{page}: a console block starts with {parts[0]!r}; expected a command"
        commands = [part.partition("\n")[::2] for part in parts[1:]]
        result.append(Block(commands, match[1] or ""))
    return result


def pattern(shown):
    """A regular expression for the lines that a page shows."""
    lines = []
    for line in shown.splitlines():
        parts = [re.sub(NUMBER, r"[+-]?[\\d.]+", re.escape(part)) for part in line.split("...")]
        lines.append(re.sub(r"(?:\\ )+", r"\\s+", ".*".join(parts)))
    return re.compile(r"[\s\S]*?".join(lines))


def session(project, commands):
    """Run commands in one shell and return (exit status, output) of each."""
    lines = ["set -m", "exec 2>&1"]
    for command in commands:
        lines += [command, f'echo "{MARK} $?"']
    lines.append("kill $(jobs -p) 2>/dev/null")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "DVC_", "IFMMIN_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
    with (project.folder.parent / "output").open("w+") as output:
        subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=project.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            env={**clean, "PATH": path, "DVC_NO_ANALYTICS": "true", "COLUMNS": "100"},
            timeout=1800,
        )
        output.seek(0)
        parts = re.split(rf"{MARK} (\d+)\n", output.read())
    return [(int(status), text) for text, status in zip(parts[:-1:2], parts[1::2], strict=True)]


def make_pack(project):
    """The pack that an earlier guide makes."""
    pack = project.folder.parent / "my_pack"
    shutil.copytree(project.folder / "data/raw/embedded", pack)


def committed_params(project):
    """The committed params.yaml, as a developer has it."""
    shutil.copy(ROOT / "params.yaml", project.folder)


def need_recordings(_):
    """Skip the guide unless its packages and espeak-ng are installed."""
    for name in ("cv2", "fer", "opensmile", "soundfile", "transformers"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} of requirements-media.txt is not installed")
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")


PREPARED = {
    "CONTRIBUTING.md": committed_params,
    "docs/add_a_system.md": add_system,
    "docs/from_recordings.md": need_recordings,
    "docs/reproduce_the_paper.md": make_pack,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.gate) if page == "README.md" else page for page in PAGES]
)
def test_the_commands_of_a_page_print_what_it_shows(page, reproduced, tmp_path):
    shutil.copytree(reproduced.folder, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    PREPARED.get(page, lambda _: None)(project)
    commands = [pair for block in blocks(page) if not block.comment for pair in block.commands]

    results = session(project, [command for command, _ in commands])

    assert len(results) == len(commands)
    for (command, shown), (status, printed) in zip(commands, results, strict=True):
        assert status == 0, f"{command} exited {status}:\n{printed[-3000:]}"
        assert pattern(shown).search(printed), f"{command} printed:\n{printed[-3000:]}\nexpected:\n{shown}"


@pytest.mark.parametrize("page", PAGES)
def test_a_block_not_run_here_names_the_file_that_runs_it_or_why_not(page):
    for block in blocks(page):
        if not block.comment:
            continue
        kind, _, detail = block.comment.partition(": ")
        assert kind in ("run by", "not run"), block.comment
        if kind == "run by":
            text = (ROOT / detail).read_text("utf-8")
            for command, _ in block.commands:
                words = shlex.split(command, comments=True)
                required = [
                    w for w in words if w.startswith(("stages/", "--", "ifmmin")) or "=" in w
                ] or words[-1:]
                assert [w for w in required if w.partition("=")[0] not in text] == [], (command, detail)


@pytest.mark.parametrize("page", PAGES)
def test_commands_appear_only_in_console_blocks(page):
    """Commands in other blocks would not be tested."""
    text = (ROOT / page).read_text("utf-8")
    others = re.findall(r"^```(?!console)\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)

    commands = [line for block in others for line in block.splitlines() if line.split(" ")[0] in TOOLS]

    assert commands == []


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        ("3 stages, 12.5 s\n", "41 stages, 7 s\n", True),
        ("a\nc\n", "a\nb\nc\n", True),
        ("c\na\n", "a\nb\nc\n", False),
        ("...ran train_x@y-1-0...\n", "[3/4] ran train_x@y-2-0 in 3 s\n", True),
        ("ran train_x\n", "ran train_y\n", False),
        ("a  b\n", "a b\n", True),
        ("+0.0376 [-0.0221, +0.0981]\n", "-0.1 [-0.25, -0.0]\n", True),
        ("", "anything", True),
    ],
)
def test_shown_lines_match_in_order_and_with_any_numbers(shown, printed, fits):
    assert bool(pattern(shown).search(printed)) == fits
