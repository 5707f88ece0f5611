"""The process between a worker and the stage that it runs, so that no orphan goes on writing.

    python -P supervising.py [--warm]      reads jobs as JSON, one a line, and says what became of each

A stage's command runs in a process group of its own. The group is killed when the input ends, as it does
when the worker dies, however it dies; if this process is killed, the kernel kills the command (Linux) and the
worker what is left of the group. As long as a process of the command lives, the job's token file is locked.

With --warm the libraries of the stages are loaded once, and `python stages/<name>.py ...` runs in
a fork: argv, folder, environment, exit status and memory are those of a process of its own, and so are the
bytes. Code of this project is never loaded before the fork. This file needs nothing but Python.
"""

import ctypes
import fcntl
import importlib
import json
import os
import re
import runpy
import select
import shlex
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn, TextIO

LIBRARIES = (
    "h5py", "matplotlib", "pandera.pandas", "pyarrow.parquet", "pydantic", "safetensors.torch", "scipy.stats",
    "sklearn.metrics", "statsmodels.stats.multitest", "torch", "torch._dynamo", "tqdm", "yaml",
)  # fmt: skip
"""What the stages import and what takes long; torch's optimisers load its compiler, unused (1.3 s)."""
PYTHON = re.compile(r"python (?:[\w@%+=:,./-]+/)?\w+\.py(?: +(?:[\w@%+=:,./-]+|'[^']*'))*")
"""A command that means the same to Python as to a shell: words, plain or in single quotes."""
SHELL_OPTIONS = {"bash": ["--noprofile", "--norc"], "zsh": ["--no-rcs"]}
PATIENCE = 60.0
"""Seconds to wait for a token that an earlier process of the stage still holds."""
GONE = -99
"""The status of an attempt that began once and did not end, or whose token is not to be had; no signal's."""
PR_SET_PDEATHSIG = 1


class Job(NamedTuple):
    """A stage's command.

    Attributes:
        name: of the stage.
        commands: as they stand in dvc.yaml, one after the other.
        folder: where they run.
        environment: added to the worker's own.
        log: file that their output goes to.
        token: file that is locked while they run; it holds the attempt and, at its end, the exit status.
        attempt: told apart from all others, so that none runs twice.
        gpu: whether it computes on a GPU where there is one.
    """

    name: str
    commands: list[str]
    folder: str
    environment: dict[str, str]
    log: str
    token: str
    attempt: str
    gpu: bool

    @property
    def key(self) -> str:
        """The key of its task in Dask."""
        return f"{self.name}-{self.attempt}"


def serve(*, warm: bool) -> list[str]:
    """Run the jobs of the input until it ends; then leave.

    Returns:
        Only in a fork that is to run a Python script: its command line.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for line in iter(sys.stdin.buffer.readline, b""):
        job = Job(**json.loads(line))
        scripts = [shlex.split(c)[1:] if warm and PYTHON.fullmatch(c) else [] for c in job.commands]
        if any(scripts):
            _load()
        with Path(job.token).open("a+") as token:
            status = _recorded(token, job.attempt)
            if status is None:
                for command, script in zip(job.commands, scripts, strict=True):
                    _leave_if_alone()
                    parent = os.getpid()
                    child = os.fork()
                    if not child:
                        _settle(job, token, parent)
                        return script or _shell(command)
                    status = _wait(child, woken)
                    if status:
                        break
                token.write(f" {status}")
        _say(status=status)
    sys.exit()


def _leave_if_alone(seconds: float = 0.0) -> None:
    """Leave if the input ends within so many seconds: while a job runs it holds nothing else."""
    if select.select([sys.stdin], [], [], seconds)[0]:
        sys.exit()


def _recorded(token: TextIO, attempt: str) -> int | None:
    """Take the token; the status to answer with if this attempt cannot begin, None if it can."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(token, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > end:
                return GONE
            _leave_if_alone(0.1)
    token.seek(0)
    words = token.read().split()
    if words[:1] == [attempt]:
        return int(words[1]) if len(words) > 1 else GONE
    token.truncate(0)
    token.write(attempt)
    token.flush()
    return None


def _wait(child: int, woken: int) -> int:
    """Wait for the command's end, or end it when the worker is gone; its exit status, -n for signal n."""
    with suppress(OSError):
        os.setpgid(child, child)  # as the child itself does: whoever comes first
    with suppress(BrokenPipeError):  # then the input has ended too
        _say(pid=child)
    while True:
        ready = select.select([sys.stdin, woken], [], [])[0]
        if sys.stdin in ready:
            _kill(child)
            sys.exit()
        os.read(woken, 512)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if status:
                _kill(child)  # what a shell that was killed has left
            return os.waitstatus_to_exitcode(status)


def _load() -> None:
    for name in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(name)


def _settle(job: Job, token: TextIO, parent: int) -> None:
    """Make this fork the process of a command: its group, its end with its parent, its files, its place."""
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.set_inheritable(os.dup(token.fileno()), True)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(job.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(job.folder)
    os.environ.update(job.environment)
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))


def _shell(command: str) -> NoReturn:
    """Become a shell, as DVC starts it."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    os.execvp(shell, [shell, *SHELL_OPTIONS.get(Path(shell).name, []), "-c", command])  # noqa: S606 - it is one


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _say(**facts: int | None) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main(*, warm: bool) -> None:
    """Serve; in a fork, run a Python script as if Python had been started with it."""
    script, *arguments = serve(warm=warm)
    sys.path.insert(0, str(Path(script).parent.resolve()))
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(warm="--warm" in sys.argv)
