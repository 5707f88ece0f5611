"""Progress display of a parallel run, on a terminal and elsewhere."""

import io
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from ifmmin.parallel.display import Display


@pytest.fixture
def open_display(tmp_path):
    """Return a function that opens a display and returns it with its output."""

    def build(*, terminal):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100, highlight=False)
        return Display(tmp_path, console), console.file

    return build


def driver(**changed):
    now = time.monotonic()
    state = {
        "outcomes": {"ingest": "ran", "split": "unchanged", "pretrain@1-0": "restored"},
        "seconds": {"ingest": 2.25},
        "running": {"train@a-1-0": now - 12.0},
        "total": 9,
        "seconds_left": lambda: 150.0,
    }
    return SimpleNamespace(**{**state, **changed})


def test_without_a_terminal_each_stage_is_one_plain_line(open_display):
    display, file = open_display(terminal=False)

    with display:
        display.report_outcome("ran", "train@a-1-0", 12.34, "4/9")
        display.report_outcome("lost", "train@b-1-0", 3.0, "4/9")
        display.report_outcome("held", "train@c-1-0", 0.0, "4/9")
        display.show(driver())

    assert file.getvalue() == (
        "[4/9] ran train@a-1-0 in 12.3 s\n"
        "[4/9] lost train@b-1-0 (its worker died after 3.0 s; the stage will be retried)\n"
        "[4/9] held train@c-1-0 (locked by another process; waiting)\n"
    )


def test_a_failed_stage_shows_the_end_of_its_log(open_display, tmp_path):
    display, file = open_display(terminal=False)
    (tmp_path / "train@a-1-0.log").write_text("".join(f"line {i}\n" for i in range(40)))

    display.report_outcome("failed", "sub/dvc.yaml:train@a-1-0", 1.0, "4/9")

    lines = file.getvalue().splitlines()
    assert lines[0].startswith("[4/9] failed sub/dvc.yaml:train@a-1-0 after 1.0 s; the end of ")
    assert [line.strip() for line in lines[1:]] == [f"line {i}" for i in range(25, 40)]


def test_a_terminal_shows_counts_time_left_and_the_current_epoch(open_display, tmp_path):
    display, file = open_display(terminal=True)
    (tmp_path / "train@a-1-0.log").write_text(
        "train a 1-0: epoch 2 of 40, L 1\ntrain a 1-0: epoch 3 of 40, L 1\n"
    )

    with display:
        display.show(driver())

    text = file.getvalue()
    assert "3 of 9 stages done · 1 ran · 1 restored · 1 unchanged · about 2 min left" in text
    assert "epoch 3 of 40" in text
    assert "12 s" in text


def test_the_table_lists_seconds_and_counts(open_display):
    display, file = open_display(terminal=False)

    display.table(
        driver(
            outcomes={"ingest": "ran", "train@a-1-0": "failed", "draw": "skipped"},
            seconds={"ingest": 2.25, "train@a-1-0": 61.0},
        )
    )

    lines = [line.split() for line in file.getvalue().splitlines()]
    assert lines == [
        ["stage", "seconds"],
        ["ingest", "ran", "2.2"],
        ["train@a-1-0", "failed", "61.0"],
        ["1", "ran,", "1", "failed,", "1", "skipped"],
    ]


def test_a_run_without_stages_prints_nothing_to_do(open_display):
    display, file = open_display(terminal=False)

    display.table(driver(outcomes={}, seconds={}))

    assert file.getvalue() == "nothing to do\n"
