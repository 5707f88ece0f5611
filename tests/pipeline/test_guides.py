"""Every command that README and the guides show is run, in their order, and says what they show.

A block of ```console has commands behind `$` and, below each, lines that its output must have in that order:
`...` stands for anything, and any number for any other, since it is the small project that runs them. A
command that shows nothing must end well. What cannot run here says above its block by which file it is run.
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
"""As re.escape leaves it."""


class Block(NamedTuple):
    """Commands, each with what it must say, and the comment above them."""

    commands: list[tuple[str, str]]
    comment: str


def blocks(page):
    """The console blocks of a page, in order."""
    text = (ROOT / page).read_text("utf-8")
    found = []
    for match in re.finditer(r"(?:<!-- (.*?) -->\n)?```console\n(.*?)```", text, re.DOTALL):
        parts = re.split(r"^\$ ", match[2], flags=re.MULTILINE)
        assert parts[0] == "", f"{page}: a console block begins with {parts[0]!r}; expected a command"
        commands = [part.partition("\n")[::2] for part in parts[1:]]
        found.append(Block(commands, match[1] or ""))
    return found


def pattern(shown):
    """A regular expression for the lines that are shown."""
    lines = []
    for line in shown.splitlines():
        parts = [
            re.sub(r"(?:\\?[+-])?\d+(?:\\\.\d+)?", r"[+-]?[\\d.]+", re.escape(part))
            for part in line.split("...")
        ]
        lines.append(re.sub(r"(?:\\ )+", r"\\s+", ".*".join(parts)))
    return re.compile(r"[\s\S]*?".join(lines))


def session(project, commands):
    """Run commands in one shell, as a person does; (exit status, output) of each."""
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
        said = re.split(rf"{MARK} (\d+)\n", output.read())
    return [(int(status), text) for text, status in zip(said[:-1:2], said[1::2], strict=True)]


def make_pack(project):
    """The pack of the guide before this one."""
    pack = project.folder.parent / "my_pack"
    shutil.copytree(project.folder / "data/raw/embedded", pack)


def committed_params(project):
    """What a developer has: the params.yaml of the demonstration."""
    shutil.copy(ROOT / "params.yaml", project.folder)


def need_recordings(_):
    """The packages and the speaker of the guide, or no test."""
    for name in ("cv2", "fer", "opensmile", "soundfile", "transformers"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} of requirements-media.txt is missing")
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not there to speak")


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
def test_the_commands_of_the_page_say_what_it_shows(page, reproduced, tmp_path):
    shutil.copytree(reproduced.folder, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    PREPARED.get(page, lambda _: None)(project)
    commands = [pair for block in blocks(page) if not block.comment for pair in block.commands]

    results = session(project, [command for command, _ in commands])

    assert len(results) == len(commands)
    for (command, shown), (status, said) in zip(commands, results, strict=True):
        assert status == 0, f"{command} exited {status}:\n{said[-3000:]}"
        assert pattern(shown).search(said), f"{command} said:\n{said[-3000:]}\nexpected:\n{shown}"


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_here_is_run_by_the_file_it_names_or_says_why(page):
    for block in blocks(page):
        if not block.comment:
            continue
        kind, _, rest = block.comment.partition(": ")
        assert kind in ("run by", "not run"), block.comment
        if kind == "run by":
            text = (ROOT / rest).read_text("utf-8")
            for command, _ in block.commands:
                words = shlex.split(command, comments=True)
                telling = [
                    w for w in words if w.startswith(("stages/", "--", "ifmmin")) or "=" in w
                ] or words[-1:]
                assert [w for w in telling if w.partition("=")[0] not in text] == [], (command, rest)


@pytest.mark.parametrize("page", PAGES)
def test_commands_stand_in_console_blocks_alone(page):
    """In a block of another kind nobody would run them."""
    text = (ROOT / page).read_text("utf-8")
    others = re.findall(r"^```(?!console)\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)

    found = [line for block in others for line in block.splitlines() if line.split(" ")[0] in TOOLS]

    assert found == []


@pytest.mark.parametrize(
    ("shown", "said", "fits"),
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
def test_shown_lines_are_looked_for_in_order_with_numbers_free(shown, said, fits):
    assert bool(pattern(shown).search(said)) == fits
