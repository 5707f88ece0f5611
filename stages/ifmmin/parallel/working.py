"""What a Dask worker does: it hands jobs to supervisors and waits for them."""

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
"""What libraries read when they are loaded, which with warm supervisors is before the stage's own start."""
IDLE: dict[tuple[str, ...], list["Supervisor"]] = defaultdict(list)
BUSY: dict[str, "Supervisor"] = {}
"""By the key of the task, as Dask knows it."""


class Supervisor:
    """A supervising process and the pipes to it; when this worker dies they close, and it ends its job."""

    def __init__(self, threads: Mapping[str, str], *, warm: bool) -> None:
        """Start it, out of reach of a terminal's Ctrl-C."""
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
        """Run a job and wait for it; its exit status, -n if signal n ended it, GONE if it did not begin."""
        group = 0
        with suppress(BrokenPipeError):
            self._requests.write(json.dumps(job._asdict()) + "\n")
            self._requests.flush()
            for line in self._answers:
                said = json.loads(line)
                if "status" in said:
                    return int(said["status"])
                group = said["pid"]
        self.end()  # it is gone, and nothing of its command may stay
        if not group:
            return GONE
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        return -signal.SIGKILL

    def end(self) -> None:
        """Close the pipes, which ends it, and wait until it has."""
        for pipe in (self._requests, self._answers):
            with suppress(BrokenPipeError):
                pipe.close()
        self.process.wait()

    def alive(self) -> bool:
        """Whether it can take another job."""
        return self.process.poll() is None


def _environment() -> dict[str, str]:
    """The worker's environment without what Dask added for itself.

    Its MALLOC_TRIM_THRESHOLD_ has malloc give memory back at once, and a training take it anew each step,
    which made two trainings on two cores 1.4 times as slow.
    """
    added = dask.config.get("distributed.nanny.pre-spawn-environ", default={})
    return {key: value for key, value in os.environ.items() if str(added.get(key)) != value}


def execute(job: Job, *, warm: bool) -> int:
    """Run a job; its exit status. Called in a thread of a worker, for each of which there is a supervisor."""
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
    """End what runs under this key, if it does: a thread of Dask's hears of no cancellation."""
    if supervisor := BUSY.get(key):
        supervisor.process.kill()
