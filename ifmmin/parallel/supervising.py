"""Supervisor: a process between a worker and its stage, so that no orphaned stage keeps writing.

    python -P supervising.py [--warm]      reads jobs as JSON, one per line; writes the status of each

A stage's command runs in its own process group. The supervisor kills the group when its input ends, that is,
when the worker dies. If the supervisor is killed, the kernel kills the command (Linux) and the worker kills
the rest of the group. The job's token file stays locked as long as a process of the command lives.

With --warm, the supervisor loads the libraries of the stages once and runs `python -m stages.<name> ...` in a
fork. Arguments, folder, environment, exit status, memory and output bytes are those of a new process. Project
code is loaded only after the fork. This file needs only the standard library.
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
"""Slow imports of the stages; torch's optimisers load its compiler without using it (1.3 s)."""
PYTHON = re.compile(r"python -m [\w.]+(?: +(?:[\w@%+=:,./-]+|'[^']*'))*")
"""Commands that Python can split like a shell: words, plain or in single quotes."""
SHELL_OPTIONS = {"bash": ["--noprofile", "--norc"], "zsh": ["--no-rcs"]}
TOKEN_TIMEOUT = 60.0
"""Seconds to wait for a token that an earlier process of the stage still holds."""
GONE = -99
"""Status of an attempt that started but never finished, or could not lock its token; equals no signal."""
PR_SET_PDEATHSIG = 1


class Job(NamedTuple):
    """A stage's command.

    Attributes:
        name: name of the stage.
        commands: the commands from dvc.yaml, run in order.
        folder: working folder of the commands.
        environment: variables added to the worker's environment.
        log: file for their output.
        token: file that is locked while they run; it holds the attempt and, at the end, the exit status.
        attempt: unique id of the attempt, so that none runs twice.
        gpu: whether the stage uses a GPU if there is one.
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
        """The key of the task in Dask."""
        return f"{self.name}-{self.attempt}"


def serve(*, warm: bool) -> list[str]:
    """Run the jobs of the input until it ends; then exit.

    Returns:
        Name and arguments of the Python module to run; only in a fork.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for line in iter(sys.stdin.buffer.readline, b""):
        job = Job(**json.loads(line))
        scripts = [shlex.split(c)[2:] if warm and PYTHON.fullmatch(c) else [] for c in job.commands]
        if any(scripts):
            _load()
        with Path(job.token).open("a+") as token:
            status = _recorded(token, job.attempt)
            if status is None:
                for command, script in zip(job.commands, scripts, strict=True):
                    _exit_if_orphaned()
                    parent = os.getpid()
                    child = os.fork()
                    if not child:
                        _set_up_fork(job, token, parent)
                        return script or _shell(command)
                    status = _wait(child, woken)
                    if status:
                        break
                token.write(f" {status}")
        _say(status=status)
    sys.exit()


def _exit_if_orphaned(seconds: float = 0.0) -> None:
    """Exit if the input ends within `seconds`; no other input can arrive while a job runs."""
    if select.select([sys.stdin], [], [], seconds)[0]:
        sys.exit()


def _recorded(token: TextIO, attempt: str) -> int | None:
    """Lock the token; return the status of an attempt that cannot start, None if it can start."""
    end = time.monotonic() + TOKEN_TIMEOUT
    while True:
        try:
            fcntl.flock(token, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > end:
                return GONE
            _exit_if_orphaned(0.1)
    token.seek(0)
    words = token.read().split()
    if words[:1] == [attempt]:
        return int(words[1]) if len(words) > 1 else GONE
    token.truncate(0)
    token.write(attempt)
    token.flush()
    return None


def _wait(child: int, woken: int) -> int:
    """Wait for the command to end, or kill it if the worker is gone; exit status, -n for signal n."""
    with suppress(OSError):
        os.setpgid(child, child)  # parent and child both call it, because either may be first
    with suppress(BrokenPipeError):  # the input has ended too, so the loop below exits
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
                _kill(child)  # processes that a killed shell left behind
            return os.waitstatus_to_exitcode(status)


def _load() -> None:
    for name in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(name)


def _set_up_fork(job: Job, token: TextIO, parent: int) -> None:
    """Set up the fork: process group, kill signal when the parent dies, files, folder, environment."""
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
    """Replace this process by a shell that runs the command, as DVC does."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    os.execvp(shell, [shell, *SHELL_OPTIONS.get(Path(shell).name, []), "-c", command])  # noqa: S606 - it is one


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _say(**facts: int | None) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main(*, warm: bool) -> None:
    """Serve jobs; in a fork, run a Python module like `python -m`."""
    module, *arguments = serve(warm=warm)
    sys.path.insert(0, str(Path.cwd()))
    sys.argv = ["-m", *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(warm="--warm" in sys.argv)
