"""Runs the demonstration on a SLURM cluster of one machine and kills a job in the middle.

python tests/cluster/slurm.py         # as root, with Debian's packages slurm-wlm and munge; some minutes

Starts a controller and a node on loopback, runs a clone of the last commit with `ifmmin run --slurm`, kills
one of its two jobs during training, and checks that the run recovers: a new job starts, the stage runs again,
and tables and dvc.lock are those of a serial run. Without SLURM it skips.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import yaml
from clone import cloned

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue")
CONF = """
ClusterName=loopback
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SchedulerParameters=sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
KillWait=5
ReturnToService=2
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


def say(text):
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def cluster(folder):
    """A controller and a node with all cores of this machine; all their files are in `folder`."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10 // 2**20
    (folder / "slurm.conf").write_text(CONF.format(folder=folder, cpus=os.cpu_count(), memory=memory))
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    folder.chmod(0o755)
    files = {
        "--key-file": key,
        "--socket": "munge.socket",
        "--pid-file": "munge.pid",
        "--log-file": "munge.log",
    }
    munge = [f"{option}={folder / name}" for option, name in files.items()]
    commands = (
        ["munged", "-F", "--force", f"--seed-file={folder / 'munge.seed'}", *munge],
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", "localhost"],
    )
    daemons = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.out").open("w") as out:
                daemons.append(subprocess.Popen(command, stdout=out, stderr=out))
            time.sleep(2)
        end = time.monotonic() + 60
        while "idle" not in (state := output("sinfo", "-h", "-o", "%T")):
            if time.monotonic() > end:
                logs = "\n".join(path.read_text()[-1500:] for path in folder.glob("*.out"))
                sys.exit(f"the node is {state.strip()!r} after 60 s; expected idle.\n{logs}")
            time.sleep(1)
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(30)


def jobs():
    return output("squeue", "-h", "-t", "running", "-o", "%i").split()


def training(log):
    """Whether a training has started."""
    return any(log.glob("train_*.log"))


def driver(project, folder, **changed):
    """Start the driver; its output goes to run.log."""
    settings = {"queue": "main", "memory": "2GB", "walltime": "01:00:00", "interface": "lo", **changed}
    (folder / "slurm.yaml").write_text(yaml.safe_dump(settings))
    with (folder / "run.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ifmmin", "run", "--slurm", folder / "slurm.yaml", "-j", "2"],
            cwd=project,
            stdout=log,
            stderr=log,
        )


def refused(project, folder):
    """The error message when SLURM refuses the jobs: one line."""
    status = driver(project, folder, memory="900TB").wait(120)
    message = (folder / "run.log").read_text()
    if status != 1 or message.count("\n") != 1:
        sys.exit(f"jobs that are too large: exit status {status}, {message!r}; expected 1 and one line")
    return message.strip()


def run(project, folder):
    """Run the pipeline and kill a job in the middle."""
    process = driver(project, folder)
    while process.poll() is None and not (training(project / "logs") and len(jobs()) == 2):
        time.sleep(1)
    if process.poll() is None:
        say(f"jobs {', '.join(jobs())} run; killing the first")
        output("scancel", "--signal=KILL", "--full", jobs()[0])
    return process.wait(1800), (folder / "run.log").read_text()


def main():
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing or os.geteuid():
        say(f"skipped: {'not root' if os.geteuid() else ', '.join(missing) + ' not installed'}")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder, project = Path(temporary), Path(temporary, "project")
        cloned(project)
        with cluster(folder):
            say(f"SLURM {output('sinfo', '--version').split()[1]} is up")
            say(f"jobs that are too large: {refused(project, folder)}")
            status, log = run(project, folder)
        lost = [line for line in log.splitlines() if "] lost " in line]
        say("\n".join(["", *log.splitlines()[-60:]]))
        changed = output("git", "-C", str(project), "status", "--porcelain")
        again = subprocess.run(
            ["dvc", "repro"], cwd=project, check=True, capture_output=True, text=True
        ).stdout
    if status or not lost or changed or "Running" in again:
        sys.exit(
            f"exit status {status}, lost: {lost}, changed files: {changed!r}, repro ran: {'Running' in again}"
        )
    say(f"{lost[0]}; the run recovered, and git and dvc repro find no change")


if __name__ == "__main__":
    main()
