"""Tasks of a Dask worker: pass jobs to supervisors and wait for them."""

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, cast

import dask

from ifmmin.parallel import supervising
from ifmmin.parallel.supervising import GONE, Job

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables that libraries read when they load; warm supervisors load them before the stage starts."""
IDLE: dict[tuple[str, ...], list["Supervisor"]] = defaultdict(list)
BUSY: dict[str, "Supervisor"] = {}
"""Dask's task key to the supervisor that runs it."""


class Supervisor:
    """A supervisor process and the pipes to it; if this worker dies, the pipes close and it kills its job."""

    def __init__(self, threads: Mapping[str, str], *, warm: bool) -> None:
        """Start the process in its own session, so that a terminal's Ctrl-C does not reach it."""
        command = [sys.executable, "-P", supervising.__file__, *(["--warm"] if warm else [])]
        self.process = subprocess.Popen(  # noqa: S603 - our own file
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**_environment(), **threads},
        )
        self._requests = cast(IO[str], self.process.stdin)
        self._answers = cast(IO[str], self.process.stdout)

    def run(self, job: Job) -> int:
        """Run a job and wait; return its exit status, -n for signal n, GONE if it did not start."""
        group = 0
        with suppress(BrokenPipeError):
            self._requests.write(json.dumps(job._asdict()) + "\n")
            self._requests.flush()
            for line in self._answers:
                report = json.loads(line)
                if "status" in report:
                    return int(report["status"])
                group = report["pid"]
        self.end()  # the supervisor died: kill the rest of its command
        if not group:
            return GONE
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        return -signal.SIGKILL

    def end(self) -> None:
        """Close the pipes, which ends the process, and wait for it."""
        for pipe in (self._requests, self._answers):
            with suppress(BrokenPipeError):
                pipe.close()
        self.process.wait()

    def alive(self) -> bool:
        """Return whether the process can run another job."""
        return self.process.poll() is None


def _environment() -> dict[str, str]:
    """Return the worker's environment without the variables that Dask added.

    Dask's MALLOC_TRIM_THRESHOLD_ makes malloc release memory at once, so training allocates it again in each
    step. It slowed two parallel training runs on two cores down by a factor of 1.4.
    """
    added = dask.config.get("distributed.nanny.pre-spawn-environ", default={})
    return {key: value for key, value in os.environ.items() if str(added.get(key)) != value}


def execute(job: Job, *, warm: bool) -> int:
    """Run a job in a thread of a worker, with one supervisor per thread; return its exit status."""
    threads = {key: job.environment[key] for key in THREADS if key in job.environment}
    idle = IDLE[str(warm), *threads.values()]
    supervisor = None
    while supervisor is None or not supervisor.alive():
        try:
            supervisor = idle.pop()
        except IndexError:
            supervisor = Supervisor(threads, warm=warm)
    BUSY[job.key] = supervisor
    try:
        return supervisor.run(job)
    finally:
        del BUSY[job.key]
        if supervisor.alive():
            idle.append(supervisor)


def stop(key: str) -> None:
    """Kill the job of a task key if it runs: Dask does not notify threads of a cancellation."""
    if supervisor := BUSY.get(key):
        supervisor.process.kill()
