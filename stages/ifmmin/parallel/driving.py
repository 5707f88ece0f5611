"""The order in which stages run on several workers, and what happens when one fails or is lost."""

import json
import re
import time
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

from ifmmin.parallel.supervising import GONE, Job

WRITE_EVERY = 5.0
"""Seconds between two writings of dvc.lock, each of which costs more the longer it is."""
POLL = 0.25
"""Seconds after which the display is renewed, and what another process held is tried again."""
ATTEMPTS = 3
"""How often a stage is started whose worker dies."""

Fate = Literal["unchanged", "restored", "ran", "failed", "lost", "skipped"]


class Workspace(Protocol):
    """The project, as DVC knows it; stages go by their names."""

    def plan(self, targets: Sequence[str]) -> dict[str, set[str]]:
        """The stages in the order of dvc repro, each with those that must come before it."""

    def prepare(self, name: str) -> Literal["unchanged", "restored", "held", "failed"] | Job:
        """Bring a stage up to date without running it, or say how to run it; held: another process has it."""

    def finish(self, name: str, *, good: bool) -> bool:
        """Release a stage and take its outputs into the cache; whether it went well and they are there."""

    def write_lock(self) -> None:
        """Write into dvc.lock what has finished."""


class Executor(Protocol):
    """The workers."""

    def threads(self) -> int:
        """How many stages they run at once; 1 until the first is submitted."""

    def submit(self, job: Job) -> None:
        """Start a job."""

    def ended(self, seconds: float) -> Iterator[tuple[str, int]]:
        """Names and exit statuses of what has ended, after so many seconds at the latest."""

    def stop(self) -> None:
        """End what runs."""


class Watcher(Protocol):
    """Who is told."""

    def say(self, text: str) -> None:
        """Something about the run."""

    def tell(self, fate: Fate | Literal["held"], name: str, seconds: float, done: str) -> None:
        """What became of a stage."""

    def show(self, driver: "Driver") -> None:
        """How things stand."""


class Planner(Protocol):
    """A project that is only asked."""

    def plan(self, targets: Sequence[str]) -> dict[str, set[str]]:
        """As that of Workspace."""

    def changed(self, name: str) -> bool:
        """Whether a stage's command, code, inputs, params or outputs have changed."""


def rehearsed(project: Planner, targets: Sequence[str]) -> Iterator[str]:
    """Say, a line each, which stages would run: those that have changed, and those that need them."""
    would: set[str] = set()
    plan = project.plan(targets)
    for name, needs in plan.items():
        if needs & would or project.changed(name):
            would.add(name)
            yield f"would run {name}"
    yield f"{len(would)} of {len(plan)} stages would run or be restored"


class Estimates:
    """Seconds that stages may take: their own last time, else the mean of their like, else of all."""

    def __init__(self, logs: Path) -> None:
        """Read what earlier runs recorded (`ifmmin.entry`)."""
        self._own: dict[str, float] = {}
        for path in logs.glob("*.json"):
            try:
                record = json.loads(path.read_text("utf-8"))
                self._own[record["stage"]] = float(record["seconds"])
            except (ValueError, KeyError, TypeError, OSError):
                continue

    def add(self, name: str, seconds: float) -> None:
        """Learn from a stage that has ended."""
        self._own[name] = seconds

    def of(self, names: Sequence[str]) -> dict[str, float]:
        """Estimate each."""
        alike: dict[str, list[float]] = {}
        for name, seconds in self._own.items():
            alike.setdefault(_kind(name), []).append(seconds)
        means = {kind: sum(seconds) / len(seconds) for kind, seconds in alike.items()}
        mean = sum(means.values()) / len(means) if means else 1.0
        return {name: self._own.get(name, means.get(_kind(name), mean)) for name in names}


def _kind(name: str) -> str:
    """A stage without its fold and seed."""
    return re.sub(r"\d+-\d+$", "", name)


def _reason(status: int) -> str:
    if status == GONE:
        return f"its worker died, {ATTEMPTS} times"
    return f"ended by signal {-status}" if status < 0 else f"exit status {status}"


class Driver:
    """Stages in the order of their dependencies, as many at once as there are workers.

    Attributes:
        fates: what became of each stage that is through.
        seconds: that each of those that ran took.
        running: since when each stage runs, by a clock that only counts.
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
        """Take a project, workers, and who is told."""
        self._workspace, self._executor, self._watcher = workspace, executor, watcher
        self._estimates, self._keep_going = estimates, keep_going
        self.fates: dict[str, Fate] = {}
        self.seconds: dict[str, float] = {}
        self.running: dict[str, float] = {}
        self.total = 0
        self._needs: dict[str, set[str]] = {}
        self._waiting: list[str] = []
        self._attempts: dict[str, int] = {}
        self._way: dict[str, float] = {}
        self._held: set[str] = set()
        self._manned = True
        self._written, self._pause = time.monotonic(), WRITE_EVERY

    def run(self, targets: Sequence[str]) -> None:
        """Run what the targets need; what has finished is in dvc.lock at the end, however it ends."""
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
            self._leave()
        self.fates |= dict.fromkeys(self._waiting, "skipped")
        if self._waiting:
            self._watcher.say(f"{len(self._waiting)} stages were skipped after the failure")

    def _leave(self) -> None:
        """Take what has just ended, end what runs, and write down what has finished, whatever goes wrong."""
        try:
            for name, status in self._executor.ended(0.0):
                self._end(name, status)
            if self.running:
                self._executor.stop()
        finally:
            self._write_lock()
            for name in self.running:
                self._workspace.finish(name, good=False)

    def left(self) -> float:
        """Seconds until all is through, if the workers stay busy."""
        of = self._estimates.of([*self._waiting, *self.running])
        now = time.monotonic()
        work = sum(of[name] for name in self._waiting)
        work += sum(max(0.0, of[name] - (now - since)) for name, since in self.running.items())
        return work / max(1, len(self.running))

    def _start(self) -> bool:
        """Start what is ready, longest way to the end first; whether something ready had to wait.

        No more than there are workers: what is prepared has its paths locked.
        """
        held: set[str] = set()
        while len(self.running) < self._workers():
            name = self._next(held)
            if name is None:
                break
            how = self._workspace.prepare(name)
            if how == "held":
                held.add(name)
                continue
            self._waiting.remove(name)
            if isinstance(how, Job):
                self.running[name] = time.monotonic()
                self._executor.submit(how)
            else:
                self._through(how, name)
        for name in held - self._held:
            self._watcher.tell("held", name, 0.0, self._done())
        self._held = held
        return self._next(()) is not None

    def _workers(self) -> int:
        """How many stages can run at once, which somebody should know when it is none."""
        workers = self._executor.threads()
        if not workers and self._manned:
            self._watcher.say("no workers; waiting for some")
        self._manned = workers > 0
        return workers

    def _next(self, held: Container[str]) -> str | None:
        """The stage to start next, if one's needs are met."""
        if "failed" in self.fates.values() and not self._keep_going:
            return None
        met = {name for name, fate in self.fates.items() if fate != "failed"}
        ready = (name for name in self._waiting if name not in held and self._needs[name] <= met)
        return max(ready, key=lambda name: self._way[name], default=None)

    def _measure(self) -> None:
        """Estimate the seconds from the start of each waiting stage to the end of the last that needs it."""
        of = self._estimates.of(self._waiting)
        after = dict.fromkeys(self._needs, 0.0)
        for name in reversed(self._waiting):
            self._way[name] = of[name] + after[name]
            for need in self._needs[name]:
                after[need] = max(after[need], self._way[name])

    def _end(self, name: str, status: int) -> None:
        """Take a stage's end: its outputs, its failure, or another attempt when its worker was lost."""
        seconds = time.monotonic() - self.running.pop(name)
        self._attempts[name] = self._attempts.get(name, 0) + 1
        again = status == GONE and self._attempts[name] < ATTEMPTS
        good = self._workspace.finish(name, good=status == 0)
        if again:
            self._waiting.append(name)
            self._waiting.sort(key=list(self._needs).index)
            self._watcher.tell("lost", name, seconds, self._done())
            return
        self.seconds[name] = seconds
        if status:
            self._watcher.say(f"{name}: {_reason(status)}")
        if good:
            self._estimates.add(name, seconds)
            self._measure()
        self._through("ran" if good else "failed", name)

    def _through(self, fate: Fate, name: str) -> None:
        self.fates[name] = fate
        self._watcher.tell(fate, name, self.seconds.get(name, 0.0), self._done())

    def _done(self) -> str:
        return f"{len(self.fates)}/{self.total}"

    def _write_lock(self) -> None:
        began = time.monotonic()
        self._workspace.write_lock()
        self._written = time.monotonic()
        self._pause = max(WRITE_EVERY, 20 * (self._written - began))
