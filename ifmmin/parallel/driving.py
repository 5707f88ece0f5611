"""Scheduling of stages on several workers, including failures and lost workers."""

import json
import re
import time
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

from ifmmin.parallel.supervising import GONE, Job

WRITE_EVERY = 5.0
"""Shortest interval between two writes of dvc.lock, in seconds; a longer file takes longer to write."""
POLL = 0.25
"""Interval in seconds for refreshing the display and retrying stages held by another process."""
ATTEMPTS = 3
"""Maximum number of attempts for a stage whose worker dies."""

Outcome = Literal["unchanged", "restored", "ran", "failed", "lost", "skipped"]


class Workspace(Protocol):
    """The DVC project; stages are identified by name."""

    def plan(self, targets: Sequence[str]) -> dict[str, set[str]]:
        """Return the stages in the order of dvc repro, each with its dependencies."""

    def prepare(self, name: str) -> Literal["unchanged", "restored", "held", "failed"] | Job:
        """Update a stage without running it, or return the job to run; held: another process holds it."""

    def finish(self, name: str, *, succeeded: bool) -> bool:
        """Release a stage and cache its outputs; return whether it succeeded and all outputs exist."""

    def write_lock(self) -> None:
        """Write the finished stages to dvc.lock."""


class Executor(Protocol):
    """The workers."""

    def capacity(self) -> int:
        """Return how many stages can run in parallel; 1 until the first is submitted."""

    def submit(self, job: Job) -> None:
        """Start a job."""

    def ended(self, seconds: float) -> Iterator[tuple[str, int]]:
        """Wait up to `seconds` for stages to end; yield their names and exit statuses."""

    def stop(self) -> None:
        """Stop all running stages."""


class Watcher(Protocol):
    """The progress display."""

    def say(self, text: str) -> None:
        """Show a message about the run."""

    def report_outcome(
        self, outcome: Outcome | Literal["held"], name: str, seconds: float, done: str
    ) -> None:
        """Show the result of a stage."""

    def show(self, driver: "Driver") -> None:
        """Show the current progress."""


class Planner(Protocol):
    """A project for a dry run."""

    def plan(self, targets: Sequence[str]) -> dict[str, set[str]]:
        """Return the stages and their dependencies, as in Workspace."""

    def changed(self, name: str) -> bool:
        """Return whether a stage's command, code, inputs, params or outputs have changed."""


def dry_run(project: Planner, targets: Sequence[str]) -> Iterator[str]:
    """Yield a line for each stage that would run: changed stages and those that depend on them."""
    outdated: set[str] = set()
    plan = project.plan(targets)
    for name, needs in plan.items():
        if needs & outdated or project.changed(name):
            outdated.add(name)
            yield f"would run {name}"
    yield f"{len(outdated)} of {len(plan)} stages would run or be restored"


class Estimates:
    """Estimated seconds of stages: the last run, else the mean of similar stages, else of all stages."""

    def __init__(self, logs: Path) -> None:
        """Read the records of earlier runs (`ifmmin.core.entry`)."""
        self._last_seconds: dict[str, float] = {}
        for path in logs.glob("*.json"):
            try:
                record = json.loads(path.read_text("utf-8"))
                self._last_seconds[record["stage"]] = float(record["seconds"])
            except (ValueError, KeyError, TypeError, OSError):
                continue

    def add(self, name: str, seconds: float) -> None:
        """Store the seconds of a finished stage."""
        self._last_seconds[name] = seconds

    def estimate(self, names: Sequence[str]) -> dict[str, float]:
        """Estimate the seconds of each stage."""
        by_kind: dict[str, list[float]] = {}
        for name, seconds in self._last_seconds.items():
            by_kind.setdefault(_kind(name), []).append(seconds)
        means = {kind: sum(seconds) / len(seconds) for kind, seconds in by_kind.items()}
        mean = sum(means.values()) / len(means) if means else 1.0
        return {name: self._last_seconds.get(name, means.get(_kind(name), mean)) for name in names}


def _kind(name: str) -> str:
    """Return the name of a stage without fold and seed."""
    return re.sub(r"\d+-\d+$", "", name)


def _reason(status: int) -> str:
    if status == GONE:
        return f"its worker died, {ATTEMPTS} times"
    return f"ended by signal {-status}" if status < 0 else f"exit status {status}"


class Driver:
    """Runs stages in the order of their dependencies, one on each worker.

    Attributes:
        outcomes: result of each finished stage.
        seconds: run time of each stage that ran.
        running: start time of each running stage (monotonic clock).
        total: number of stages.
    """

    def __init__(
        self,
        workspace: Workspace,
        executor: Executor,
        watcher: Watcher,
        estimates: Estimates,
        *,
        keep_going: bool,
    ) -> None:
        """Store the project, the workers and the progress display."""
        self._workspace, self._executor, self._watcher = workspace, executor, watcher
        self._estimates, self._keep_going = estimates, keep_going
        self.outcomes: dict[str, Outcome] = {}
        self.seconds: dict[str, float] = {}
        self.running: dict[str, float] = {}
        self.total = 0
        self._needs: dict[str, set[str]] = {}
        self._waiting: list[str] = []
        self._attempts: dict[str, int] = {}
        self._remaining_path: dict[str, float] = {}
        self._held: set[str] = set()
        self._has_workers = True
        self._written, self._pause = time.monotonic(), WRITE_EVERY

    def run(self, targets: Sequence[str]) -> None:
        """Run the stages that the targets need; write the finished ones to dvc.lock even on errors."""
        self._needs = self._workspace.plan(targets)
        self._waiting, self.total = list(self._needs), len(self._needs)
        self._measure()
        try:
            while self._start() or self.running:
                for name, status in self._executor.ended(POLL):
                    self._end(name, status)
                self._watcher.show(self)
                if time.monotonic() - self._written > self._pause:
                    self._write_lock()
        finally:
            self._shut_down()
        self.outcomes |= dict.fromkeys(self._waiting, "skipped")
        if self._waiting:
            self._watcher.say(f"{len(self._waiting)} stages were skipped after the failure")

    def _shut_down(self) -> None:
        """Collect finished stages, stop running ones, and write dvc.lock even on errors."""
        try:
            for name, status in self._executor.ended(0.0):
                self._end(name, status)
            if self.running:
                self._executor.stop()
        finally:
            self._write_lock()
            for name in self.running:
                self._workspace.finish(name, succeeded=False)

    def seconds_left(self) -> float:
        """Estimate the seconds until all stages are done, if the workers stay busy."""
        estimates = self._estimates.estimate([*self._waiting, *self.running])
        now = time.monotonic()
        work = sum(estimates[name] for name in self._waiting)
        work += sum(max(0.0, estimates[name] - (now - since)) for name, since in self.running.items())
        return work / max(1, len(self.running))

    def _start(self) -> bool:
        """Start ready stages, longest remaining path first; return whether a ready stage had to wait.

        It prepares at most one stage per worker, because a prepared stage locks its paths.
        """
        held: set[str] = set()
        while len(self.running) < self._workers():
            name = self._next(held)
            if name is None:
                break
            prepared = self._workspace.prepare(name)
            if prepared == "held":
                held.add(name)
                continue
            self._waiting.remove(name)
            if isinstance(prepared, Job):
                self.running[name] = time.monotonic()
                self._executor.submit(prepared)
            else:
                self._record_outcome(prepared, name)
        for name in held - self._held:
            self._watcher.report_outcome("held", name, 0.0, self._done())
        self._held = held
        return self._next(()) is not None

    def _workers(self) -> int:
        """Return how many stages can run in parallel; report when there are no workers."""
        workers = self._executor.capacity()
        if not workers and self._has_workers:
            self._watcher.say("no workers are connected; waiting")
        self._has_workers = workers > 0
        return workers

    def _next(self, held: Container[str]) -> str | None:
        """Return the stage to start next; None if no stage is ready."""
        if "failed" in self.outcomes.values() and not self._keep_going:
            return None
        met = {name for name, outcome in self.outcomes.items() if outcome != "failed"}
        ready = (name for name in self._waiting if name not in held and self._needs[name] <= met)
        return max(ready, key=lambda name: self._remaining_path[name], default=None)

    def _measure(self) -> None:
        """Estimate the longest remaining path of each waiting stage, in seconds."""
        estimates = self._estimates.estimate(self._waiting)
        after = dict.fromkeys(self._needs, 0.0)
        for name in reversed(self._waiting):
            self._remaining_path[name] = estimates[name] + after[name]
            for need in self._needs[name]:
                after[need] = max(after[need], self._remaining_path[name])

    def _end(self, name: str, status: int) -> None:
        """Handle the end of a stage: success, failure, or another attempt after a lost worker."""
        seconds = time.monotonic() - self.running.pop(name)
        self._attempts[name] = self._attempts.get(name, 0) + 1
        again = status == GONE and self._attempts[name] < ATTEMPTS
        succeeded = self._workspace.finish(name, succeeded=status == 0)
        if again:
            self._waiting.append(name)
            self._waiting.sort(key=list(self._needs).index)
            self._watcher.report_outcome("lost", name, seconds, self._done())
            return
        self.seconds[name] = seconds
        if status:
            self._watcher.say(f"{name}: {_reason(status)}")
        if succeeded:
            self._estimates.add(name, seconds)
            self._measure()
        self._record_outcome("ran" if succeeded else "failed", name)

    def _record_outcome(self, outcome: Outcome, name: str) -> None:
        self.outcomes[name] = outcome
        self._watcher.report_outcome(outcome, name, self.seconds.get(name, 0.0), self._done())

    def _done(self) -> str:
        return f"{len(self.outcomes)}/{self.total}"

    def _write_lock(self) -> None:
        start = time.monotonic()
        self._workspace.write_lock()
        self._written = time.monotonic()
        self._pause = max(WRITE_EVERY, 20 * (self._written - start))
