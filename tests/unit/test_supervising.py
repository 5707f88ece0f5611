"""A stage's command ends with its worker or supervisor, and runs once per attempt.

Tests that kill only the supervisor use `exec`, so that the command is its direct child under every shell.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import dask
import pytest

from ifmmin.parallel import supervising, working
from ifmmin.parallel.locks import free
from ifmmin.parallel.supervising import GONE, Job


@pytest.fixture
def job(tmp_path):
    """Return a function that makes jobs in tmp_path."""

    def make(*commands, attempt=None, **environment):
        (tmp_path / "log").unlink(missing_ok=True)
        return Job(
            "stage",
            list(commands),
            str(tmp_path),
            {"OMP_NUM_THREADS": "1", **environment},
            str(tmp_path / "log"),
            str(tmp_path / "token"),
            attempt or uuid.uuid4().hex,
            gpu=False,
        )

    return make


@pytest.fixture
def supervisor():
    """Return a function that starts a supervisor as a worker does; its pipes close at the end."""
    started = []

    def start(*options):
        process = subprocess.Popen(
            [sys.executable, "-P", supervising.__file__, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def send(process, job):
    process.stdin.write(json.dumps(job._asdict()) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def dies(pid):
    """Whether a process ends within ten seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(autouse=True)
def no_supervisors_left():
    """End the supervisors of this process after each test."""
    yield
    for idle in working.IDLE.values():
        for supervisor in idle:
            supervisor.end()
        idle.clear()


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_commands_use_their_folder_environment_and_log(job, tmp_path, warm):
    stage = job("pwd", "echo $DVC_STAGE >&2", DVC_STAGE="train@a-1-0")

    status = working.execute(stage, warm=warm)

    assert status == 0
    assert (tmp_path / "log").read_text() == f"{tmp_path}\ntrain@a-1-0\n"


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_script_runs_with_its_own_arguments_name_and_exit_status(job, tmp_path, warm):
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "beside.py").write_text("WORD = 'beside'\n")
    (tmp_path / "stages" / "script.py").write_text(
        "import sys\nfrom stages import beside\nprint(__name__, sys.argv, beside.WORD, sys.stdin.read())\n"
        "sys.exit('one sentence')\n"
    )

    status = working.execute(job("python -m stages.script word --path 'a b'"), warm=warm)

    assert status == 1
    assert (tmp_path / "log").read_text() == (
        f"__main__ ['{tmp_path}/stages/script.py', 'word', '--path', 'a b'] beside \none sentence\n"
    )


@pytest.mark.slow
def test_a_warm_worker_reloads_the_script_each_time(job, tmp_path):
    """The script or its imports may have been edited in between."""
    script, beside = tmp_path / "script.py", tmp_path / "beside.py"
    script.write_text("import beside\nprint(beside.N)\n")
    for n in ("1", "22"):
        beside.write_text(f"N = {n}\n")
        working.execute(job("python -m script"), warm=True)

        assert (tmp_path / "log").read_text() == f"{n}\n"


@pytest.mark.parametrize(
    "command",
    [
        "python -m a > out",
        "python -m a $HOME",
        "python -m a; true",
        'python -m a "x"',
        "python a.py",
        "pythonx -m a",
    ],
)
def test_commands_with_shell_syntax_are_left_to_the_shell(command):
    assert not supervising.PYTHON.fullmatch(command)


def test_commands_stop_at_the_first_failure(job, tmp_path):
    assert working.execute(job("echo one", "exit 3", "echo two"), warm=False) == 3
    assert (tmp_path / "log").read_text() == "one\n"


def test_a_command_killed_by_a_signal_has_a_negative_status(job):
    assert working.execute(job("kill -9 $$"), warm=False) == -9


def test_the_command_ends_when_its_worker_ends(job, supervisor):
    process = supervisor()
    child = send(process, job("sleep 60 & sleep 61; true"))["pid"]

    process.stdin.close()

    assert dies(child)
    assert dies(process.pid)


def test_the_command_ends_when_its_supervisor_is_killed(job, supervisor):
    process = supervisor()
    child = send(process, job("sleep 60"))["pid"]

    process.kill()

    assert dies(child)


def test_a_worker_ends_processes_left_by_a_killed_supervisor(job, tmp_path):
    """The kernel ends the shell with the supervisor, but not the shell's child: the worker does."""
    stage = job(f"sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60'; true")
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(working.execute(stage, warm=False)))
    thread.start()
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.02)
    working.stop(stage.key)
    thread.join(20)

    assert statuses == [-signal.SIGKILL]
    assert dies(int((tmp_path / "pid").read_text()))


def test_a_supervisor_that_dies_before_it_starts_is_reported_as_gone(job):
    """Not a failure of the stage: the driver starts it again."""
    supervisor = working.Supervisor({}, warm=False)
    supervisor.process.kill()
    time.sleep(0.2)

    assert supervisor.run(job("true")) == GONE


def test_a_finished_attempt_is_not_run_again(job, tmp_path):
    """Dask may submit it twice if a worker ends before its result is fetched."""
    stage = job(f"echo ran >> {tmp_path}/times; exit 4", attempt="first")

    assert [working.execute(stage, warm=False) for _ in range(2)] == [4, 4]
    assert (tmp_path / "times").read_text() == "ran\n"


def test_an_interrupted_attempt_is_not_run_again(job, supervisor, tmp_path):
    stage = job(f"echo ran >> {tmp_path}/times; exec sleep 60", attempt="first")
    first = supervisor()
    send(first, stage)
    while not (tmp_path / "times").exists():
        time.sleep(0.02)
    first.kill()

    assert send(supervisor(), stage) == {"status": GONE}
    assert (tmp_path / "times").read_text() == "ran\n"


def test_two_attempts_of_a_stage_never_run_at_once(job, supervisor, tmp_path):
    """The second starts when the first has ended."""
    first = supervisor()
    send(first, job(f"sleep 1; echo first >> {tmp_path}/times", attempt="first"))
    second = supervisor()

    send(second, job(f"echo second >> {tmp_path}/times", attempt="second"))
    second.stdout.readline()

    assert (tmp_path / "times").read_text() == "first\nsecond\n"


def test_the_token_stays_locked_while_the_command_runs(job, supervisor, tmp_path):
    process = supervisor()
    child = send(process, job("exec sleep 60"))["pid"]
    os.kill(process.pid, signal.SIGSTOP)

    assert not free(tmp_path / "token")

    os.kill(process.pid, signal.SIGCONT)
    process.kill()
    assert dies(child)
    end = time.monotonic() + 10
    while not free(tmp_path / "token"):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_stage_does_not_inherit_dask_s_settings_for_workers(job, tmp_path, monkeypatch):
    """One of them, a malloc setting, slows training down."""
    with dask.config.set({"distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": 65536}}):
        monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
        working.execute(job("echo ${MALLOC_TRIM_THRESHOLD_-none}"), warm=False)
        first = (tmp_path / "log").read_text()
        monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
        supervisor = working.Supervisor({}, warm=False)
        supervisor.run(job("echo ${MALLOC_TRIM_THRESHOLD_-none}"))
        supervisor.end()

    assert first == "none\n"
    assert (tmp_path / "log").read_text() == "131072\n", "the user's own value should be kept"
