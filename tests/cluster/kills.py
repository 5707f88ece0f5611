"""Kills processes at random moments while the demonstration runs in parallel, and checks the result.

python tests/cluster/kills.py --kills 20        # some minutes

In a clone of the last commit it kills in turn the driver, a worker, a supervisor, the process of a stage, all
of them, or a training after an epoch. After each kill it checks that no process is left and resumes the run.
If a run ends before the last kill, artifacts and cache are removed and a new round starts. At the end of a
round git must see no change (dvc.lock, with the hashes of all artifacts, and the tables are committed), DVC
must find everything up to date, and no stage may have finished twice.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from clone import cleaned, cloned

KINDS = ("driver", "worker", "supervisor", "stage", "all", "training")
PATIENCE = 10.0  # a supervisor notices the death of its parent only after loading its libraries


def processes():
    """Pid to parent and command line of each process."""
    result = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            stat = (path / "stat").read_text().rpartition(")")[2].split()
            if stat[0] != "Z":
                result[int(path.name)] = int(stat[1]), (path / "cmdline").read_text()
        except OSError:
            continue
    return result


def family(pid):
    """A process and its descendants: pid to command line."""
    tree = processes()
    result = {pid: tree.get(pid, (0, ""))[1]}
    while more := {p: line for p, (parent, line) in tree.items() if parent in result and p not in result}:
        result |= more
    return result


def stages_of(pids):
    """The processes of stages: children of supervisors, with any command line."""
    tree = processes()
    return [p for p in pids if "supervising.py" in tree.get(tree.get(p, (0, ""))[0], (0, ""))[1]]


def in_an_epoch(project):
    """Whether a running training has finished an epoch."""
    logs = [*project.glob("logs/train_*.log"), *project.glob("logs/pretrain_*.log")]
    now = time.time()
    return any(now - log.stat().st_mtime < 2 and "epoch" in log.read_text() for log in logs)


def victims(kind, driver, project):
    running = family(driver.pid)
    if kind == "training":
        end = time.monotonic() + 20
        while driver.poll() is None and not in_an_epoch(project) and time.monotonic() < end:
            time.sleep(0.1)
        running = family(driver.pid)
    stages = stages_of(running)
    chosen = {
        "driver": [driver.pid],
        "worker": [p for p, line in running.items() if "multiprocessing.spawn" in line][:1],
        "supervisor": [p for p, line in running.items() if "supervising.py" in line and p not in stages][:1],
        "all": list(running),
    }
    return chosen.get(kind, stages[:1])


def left(project):
    return [line for _, line in processes().values() if str(project) in line or "supervising.py" in line]


def start(project, log):
    with log.open("a") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "ifmmin", "run", "-j", "2"],
            cwd=project,
            stdout=output,
            stderr=output,
            env={**os.environ, "DVC_NO_ANALYTICS": "true"},
        )


def kill(kind, driver, project):
    """Kill, check that no process is left, and return whether there was one to kill."""
    chosen = victims(kind, driver, project)
    for pid in chosen:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    if chosen and kind in ("driver", "all"):
        driver.wait()
        end = time.monotonic() + PATIENCE
        while remaining := left(project):
            if time.monotonic() > end:
                sys.exit(f"still running after {PATIENCE} s: {remaining}")
            time.sleep(0.1)
    return bool(chosen)


def check(project, log):
    """Check the state of the project after a round."""
    ran = Counter(re.findall(r"^\[\d+/\d+\] ran (\S+)", log.read_text(), re.MULTILINE))
    twice = [name for name, n in ran.items() if n > 1]
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=project, capture_output=True, text=True
    ).stdout
    dvc = [sys.executable, "-m", "dvc"]
    status = subprocess.run([*dvc, "status"], cwd=project, capture_output=True, text=True).stdout
    again = subprocess.run([*dvc, "repro"], cwd=project, capture_output=True, text=True).stdout
    if twice or changed or "up to date" not in status or "Running" in again:
        sys.exit(
            f"ran twice: {twice}; git: {changed!r}; dvc status: {status!r}; log: {log.read_text()[-3000:]}"
        )


def rounds(project, log, kills, draw):
    done, n_rounds = Counter(), 0
    while done.total() < kills:
        n_rounds += 1
        log.write_text("")
        driver = start(project, log)
        while True:
            try:
                status = driver.wait(draw.uniform(4, 20) if done.total() < kills else 1800)
            except subprocess.TimeoutExpired:
                kind = KINDS[done.total() % len(KINDS)]
                if not kill(kind, driver, project):
                    continue
                done[kind] += 1
                sys.stdout.write(f"{time.strftime('%H:%M:%S')} {done.total()}: {kind}\n")
                sys.stdout.flush()
                if kind == "worker":
                    continue
                status = driver.wait(120)
            if status == 0:
                break
            driver = start(project, log)
        check(project, log)
        cleaned(project)
    return done, n_rounds


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        project, log = Path(folder, "project"), Path(folder, "log")
        cloned(project)
        done, n_rounds = rounds(project, log, args.kills, random.Random())  # noqa: S311 - not for secrets
    sys.stdout.write(f"{done.total()} kills in {n_rounds} rounds, every byte as committed: {dict(done)}\n")


if __name__ == "__main__":
    main()
