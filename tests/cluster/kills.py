"""Kills at random moments while the demonstration runs in parallel; at the end every byte is as it should be.

python tests/cluster/kills.py --kills 20        # some minutes

In a clone of the last commit: the driver alone, a worker alone, a supervisor alone, a stage's process alone,
all of them, or a training after an epoch, in turn. After each it looks for processes that were left, and goes
on. When a run ends before all kills are done, artifacts and cache are removed, and another round begins. At
the end of a round git must see no change (dvc.lock and table are committed, and so are the hashes of all
artifacts), DVC must find everything up to date, and no stage may have run to its end twice.
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
PATIENCE = 10.0  # a supervisor that loads its libraries hears no sooner that it is alone


def processes():
    """Parent and command line of each process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            stat = (path / "stat").read_text().rpartition(")")[2].split()
            if stat[0] != "Z":
                found[int(path.name)] = int(stat[1]), (path / "cmdline").read_text()
        except OSError:
            continue
    return found


def family(pid):
    """A process and all below it, with their command lines."""
    tree = processes()
    found = {pid: tree.get(pid, (0, ""))[1]}
    while more := {p: line for p, (parent, line) in tree.items() if parent in found and p not in found}:
        found |= more
    return found


def stages_of(found):
    """Processes of stages: children of supervisors, of whatever command line."""
    tree = processes()
    return [p for p in found if "supervising.py" in tree.get(tree.get(p, (0, ""))[0], (0, ""))[1]]


def in_an_epoch(project):
    """Whether some training that runs has done an epoch."""
    logs = [*project.glob("logs/train_*.log"), *project.glob("logs/pretrain_*.log")]
    now = time.time()
    return any(now - log.stat().st_mtime < 2 and "epoch" in log.read_text() for log in logs)


def victims(kind, driver, project):
    found = family(driver.pid)
    if kind == "training":
        end = time.monotonic() + 20
        while driver.poll() is None and not in_an_epoch(project) and time.monotonic() < end:
            time.sleep(0.1)
        found = family(driver.pid)
    stages = stages_of(found)
    chosen = {
        "driver": [driver.pid],
        "worker": [p for p, line in found.items() if "multiprocessing.spawn" in line][:1],
        "supervisor": [p for p, line in found.items() if "supervising.py" in line and p not in stages][:1],
        "all": list(found),
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
    """Kill, and see that nobody is left who writes; whether somebody was there to kill."""
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
                sys.exit(f"after {PATIENCE} s still there: {remaining}")
            time.sleep(0.1)
    return bool(chosen)


def check(project, log):
    """See that a round has ended as it should."""
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
        done, n_rounds = rounds(project, log, args.kills, random.Random())  # noqa: S311 - no secret hangs on it
    sys.stdout.write(f"{done.total()} kills in {n_rounds} rounds, every byte as committed: {dict(done)}\n")


if __name__ == "__main__":
    main()
