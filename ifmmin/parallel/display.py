"""Progress display of a parallel run: live on a terminal, else plain lines; a table at the end."""

import re
import time
from collections import Counter
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ifmmin.parallel.driving import Driver, Outcome

STYLES = {"ran": "green", "restored": "cyan", "unchanged": "dim", "failed": "bold red", "lost": "yellow"}
EPOCH = re.compile(r"epoch (\d+) of (\d+)")
TAIL, LINES = 4096, 15
"""Bytes read from the end of a log, and lines shown of them."""


def log_of(logs: Path, name: str) -> Path:
    """Return the log file of a stage."""
    return logs / f"{name.rpartition(':')[2]}.log"


class Display:
    """Reports the result of each stage, and shows progress while it is open."""

    def __init__(self, logs: Path, console: Console | None = None) -> None:
        """Write to `console`, by default standard error; `logs` holds a file for each stage."""
        self.console = console or Console(stderr=True, highlight=False)
        self._logs = logs
        self._live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None

    def __enter__(self) -> "Display":
        """Open the live display if the console is a terminal."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the live display."""
        if self._live:
            self._live.update(Text(""), refresh=True)
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """Write one line."""
        self.console.print(Text(text, style), soft_wrap=True)

    def report_outcome(self, outcome: str, name: str, seconds: float, done: str) -> None:
        """Write the result of a stage; for a failed stage, also the end of its log."""
        more = {
            "ran": f" in {seconds:.1f} s",
            "failed": f" after {seconds:.1f} s; the end of {self.log(name)}:",
            "lost": f" (its worker died after {seconds:.1f} s; the stage will be retried)",
            "held": " (locked by another process; waiting)",
        }
        self.say(f"[{done}] {outcome} {name}{more.get(outcome, '')}", STYLES.get(outcome, ""))
        if outcome == "failed":
            for line in self._tail(name).splitlines()[-LINES:] or ["(empty)"]:
                self.say(f"    {line}")

    def show(self, driver: Driver) -> None:
        """Refresh the live display."""
        if self._live:
            shown = Group(Text(self.summary(driver), "bold"), self._running(driver))
            self._live.update(shown, refresh=True)

    def summary(self, driver: Driver) -> str:
        """Return one line: number of finished stages, their results, and the time left."""
        parts = [f"{len(driver.outcomes)} of {driver.total} stages done", *self._counts(driver)]
        left = driver.seconds_left()
        if driver.running:
            parts.append(f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left")
        return " · ".join(parts)

    def _counts(self, driver: Driver) -> list[str]:
        counts = Counter(driver.outcomes.values())
        return [f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES if counts[outcome]]

    def _running(self, driver: Driver) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, since in sorted(driver.running.items(), key=lambda item: item[1]):
            epochs = EPOCH.findall(self._tail(name))
            epoch, total = map(int, epochs[-1]) if epochs else (0, 0)
            table.add_row(
                name,
                ProgressBar(total=total, completed=epoch, width=20) if total else "",
                f"epoch {epoch} of {total}" if total else "",
                f"{time.monotonic() - since:.0f} s",
            )
        return table

    def table(self, driver: Driver) -> None:
        """Write a table of the stages that ran, with their seconds, and the number of each result."""
        if driver.seconds:
            table = Table("stage", "", "seconds", box=None, pad_edge=False)
            table.columns[2].justify = "right"
            for name, seconds in driver.seconds.items():
                outcome = driver.outcomes[name]
                table.add_row(name, Text(outcome, STYLES.get(outcome, "")), f"{seconds:.1f}")
            self.console.print(table)
        self.say(", ".join(self._counts(driver)) or "nothing to do", "bold")

    def log(self, name: str) -> Path:
        """Return the log file of a stage."""
        return log_of(self._logs, name)

    def _tail(self, name: str) -> str:
        try:
            with self.log(name).open("rb") as log:
                log.seek(max(0, log.seek(0, 2) - TAIL))
                return log.read().decode("utf-8", "replace")
        except OSError:
            return ""


_OUTCOMES: tuple[Outcome, ...] = ("ran", "restored", "unchanged", "failed", "skipped")
