"""What a parallel run tells, on a terminal and elsewhere."""

import io
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from ifmmin.parallel.display import Display


@pytest.fixture
def shown(tmp_path):
    """A display and what it wrote."""

    def open_(*, terminal):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100, highlight=False)
        return Display(tmp_path, console), console.file

    return open_


def driver(**changed):
    now = time.monotonic()
    state = {
        "fates": {"ingest": "ran", "split": "unchanged", "pretrain@1-0": "restored"},
        "seconds": {"ingest": 2.25},
        "running": {"train@a-1-0": now - 12.0},
        "total": 9,
        "left": lambda: 150.0,
    }
    return SimpleNamespace(**{**state, **changed})


def test_elsewhere_there_is_one_line_a_stage_and_no_control_sequence(shown):
    display, file = shown(terminal=False)

    with display:
        display.tell("ran", "train@a-1-0", 12.34, "4/9")
        display.tell("lost", "train@b-1-0", 3.0, "4/9")
        display.tell("held", "train@c-1-0", 0.0, "4/9")
        display.show(driver())

    assert file.getvalue() == (
        "[4/9] ran train@a-1-0 in 12.3 s\n"
        "[4/9] lost train@b-1-0 its worker after 3.0 s; it runs again\n"
        "[4/9] held train@c-1-0 by another process; it waits\n"
    )


def test_of_a_failed_stage_the_end_of_its_log_is_shown(shown, tmp_path):
    display, file = shown(terminal=False)
    (tmp_path / "train@a-1-0.log").write_text("".join(f"line {i}\n" for i in range(40)))

    display.tell("failed", "sub/dvc.yaml:train@a-1-0", 1.0, "4/9")

    lines = file.getvalue().splitlines()
    assert lines[0].startswith("[4/9] failed sub/dvc.yaml:train@a-1-0 after 1.0 s; the end of ")
    assert [line.strip() for line in lines[1:]] == [f"line {i}" for i in range(25, 40)]


def test_a_terminal_shows_counts_time_left_and_the_epoch_of_what_runs(shown, tmp_path):
    display, file = shown(terminal=True)
    (tmp_path / "train@a-1-0.log").write_text(
        "train a 1-0: epoch 2 of 40, L 1\ntrain a 1-0: epoch 3 of 40, L 1\n"
    )

    with display:
        display.show(driver())

    text = file.getvalue()
    assert "3 of 9 stages done · 1 ran · 1 restored · 1 unchanged · about 2 min left" in text
    assert "epoch 3 of 40" in text
    assert "12 s" in text


def test_the_table_has_the_seconds_of_what_ran_and_the_counts(shown):
    display, file = shown(terminal=False)

    display.table(
        driver(
            fates={"ingest": "ran", "train@a-1-0": "failed", "draw": "skipped"},
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


def test_with_nothing_to_do_it_says_so(shown):
    display, file = shown(terminal=False)

    display.table(driver(fates={}, seconds={}))

    assert file.getvalue() == "nothing to do\n"
