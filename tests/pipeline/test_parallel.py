"""ifmmin run leaves what `dvc repro` leaves, whatever is killed on the way.

On trivial stages: the contract with DVC's internals. Both ways run the same dvc.yaml in two folders.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import trivial
import yaml

from pipeline.conftest import ROOT, Project, configured, environment_of, hear_ctrl_c

pytestmark = pytest.mark.slow

DVC = [sys.executable, "-m", "dvc"]
RUN = [sys.executable, "-m", "ifmmin", "run", "-j", "2", "--cold"]
NAME = "${item.system}-${item.fold}-${item.seed}"
SLOW = (
    f"mkdir -p models && rm -f models/{NAME} && "
    f"for i in 1 2 3 4 5 6 7 8; do echo $i >> models/{NAME}; sleep 0.2; done"
)
MADE = ("all", "table.json", "dvc.lock", "models", "predictions")


@pytest.fixture
def new(tmp_path):
    """Give a function that makes a project in a folder of its own."""

    def make(name="parallel", **changed):
        project = configured(Project(trivial.make(tmp_path / name, **changed)))
        project.commit("new")
        return project

    return make


def slowed(times=1):
    """The trivial stages, trainings of which take 1.6 s, or so many times that, and write all the while."""
    return {"train": {**trivial.stages()["train"], "cmd": SLOW.replace("sleep 0.2", f"sleep {0.2 * times}")}}


def repro(project, *arguments, **options):
    return project.run(*DVC, "repro", *arguments, **options)


def run(project, *arguments, **options):
    return project.run(*RUN, *arguments, **options)


def made(project):
    """Bytes of all that the stages have made, and what dvc.lock says."""
    files = (f for name in MADE for path in [project.folder / name] for f in (path, *path.rglob("*")))
    content = {str(f.relative_to(project.folder)): f.read_bytes() for f in files if f.is_file()}
    return content | {"dvc.lock": yaml.safe_load(content.get("dvc.lock", b"{}"))}


def told(said, fate):
    """Stages of which a run has told this."""
    words = (line.split() for line in said.splitlines() if line.startswith("["))
    return sorted(w[2] for w in words if w[1] == fate)


def up_to_date(project):
    status = project.run(*DVC, "status").stdout
    again = repro(project).stdout
    return "up to date" in status and "Running" not in again


@pytest.mark.gate
def test_it_leaves_what_dvc_repro_leaves(new):
    serial, parallel = new("serial", folds=2), new(folds=2)
    repro(serial)

    said = run(parallel).stderr

    assert made(parallel) == made(serial)
    assert parallel.read("dvc.lock") == serial.read("dvc.lock"), "entries in the order of dvc repro"
    assert len(told(said, "ran")) == len(yaml.safe_load(serial.read("dvc.lock"))["stages"]) == 32
    assert up_to_date(parallel)
    assert told(run(parallel).stderr, "ran") == []


def files(project, *folders):
    paths = (path for folder in folders for path in (project.folder / folder).rglob("*"))
    return {str(path.relative_to(project.folder)): path.read_bytes() for path in paths if path.is_file()}


def test_the_real_pipeline_has_the_same_bytes_from_warm_workers_and_from_dvc_repro(reproduced, tmp_path):
    """Each stage of the one is a fork of a process that has loaded the libraries, of the other it is anew."""
    serial = reproduced.clone(tmp_path / "serial")
    (serial.folder / "dvc.lock").unlink()

    serial.run("dvc", "repro")

    assert json.loads(reproduced.read("logs/run.json"))["warm"]
    assert files(serial, "data", "metrics") == files(reproduced, "data", "metrics")
    assert serial.read("dvc.lock") == reproduced.read("dvc.lock")


def test_targets_are_those_of_dvc_repro(new):
    serial, parallel = new("serial", folds=2), new(folds=2)
    repro(serial, "evaluate@system1-2-0", "split@1")

    run(parallel, "evaluate@system1-2-0", "split@1")

    assert made(parallel) == made(serial)


def test_a_target_that_is_none_is_one_sentence(new):
    done = run(new(), "nothing", check=False)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "'nothing'" in done.stderr
    assert "Expected targets as for dvc repro" in done.stderr


def test_a_folder_that_is_no_project_is_one_sentence(tmp_path):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    done = run(Project(tmp_path), check=False)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is in no project; expected dvc.yaml and params.yaml" in done.stderr


def set_param(project, **values):
    path = project.folder / "params.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **values}, sort_keys=False))


def test_a_param_there_and_back_comes_from_the_run_cache(new):
    project = new()
    run(project)
    project.commit("100")
    before = made(project)

    set_param(project, lambda2=10)
    there = run(project).stderr
    set_param(project, lambda2=100)
    back = run(project).stderr

    assert told(there, "ran") == sorted(
        [*(f"{group}@{name}-1-0" for group in ("train", "evaluate") for name in trivial.SYSTEMS), "aggregate"]
    )
    assert told(back, "ran") == []
    assert told(back, "restored") == told(there, "ran")
    assert made(project) == before


def test_what_dvc_exp_run_has_set_is_run_and_can_be_saved_as_an_experiment(new):
    project = new()
    run(project)
    project.commit("100")

    project.run(*DVC, "exp", "run", "-S", "lambda2=10", "split@1")
    run(project)

    assert "system0 1-0 10" in project.read("models/system0-1-0")
    assert up_to_date(project)
    project.run(*DVC, "exp", "save", "-n", "ten")
    assert "ten" in project.run(*DVC, "exp", "list", "--name-only").stdout


def test_dry_says_what_would_run_and_runs_nothing(new):
    project = new()

    said = run(project, "--dry", "evaluate@system1-1-0").stdout

    assert sorted(line.split()[-1] for line in said.splitlines()[:-1]) == [
        "evaluate@system1-1-0",
        "ingest",
        "pretrain@fusion-1-0",
        "pretrain@invariant-1-0",
        "split@1",
        "train@system1-1-0",
    ]
    assert made(project) == {"dvc.lock": {}}
    run(project)
    assert run(project, "--dry").stdout.startswith("0 of 17 stages")


FAILING = "echo going; echo why >&2; exit 7"


def failing():
    stages = trivial.stages()
    command = f"if [ ${{item.system}} = system1 ]; then {FAILING}; fi; {stages['train']['cmd']}"
    return {"train": {**stages["train"], "cmd": command}}


@pytest.mark.gate
@pytest.mark.parametrize("keep_going", [False, True])
def test_a_failing_stage_stops_its_descendants_and_the_end_of_its_log_is_shown(new, keep_going):
    project = new(**failing())

    done = run(project, *(["--keep-going"] if keep_going else []), check=False)

    assert done.returncode == 1
    assert told(done.stderr, "failed") == ["train@system1-1-0"]
    assert "    going\n    why\n" in done.stderr
    assert done.stderr.endswith(f"1 of 17 stages failed: train@system1-1-0. See {project.folder / 'logs'}.\n")
    assert "why" in project.read("logs/train@system1-1-0.log")
    [skipped] = re.findall(r"^(\d+) stages were skipped after the failure$", done.stderr, re.MULTILINE)
    assert int(skipped) == 2 or not keep_going
    assert int(skipped) >= 2, "evaluate@system1-1-0 and aggregate"
    entries = yaml.safe_load(project.read("dvc.lock"))["stages"]
    assert sorted(entries) == sorted(told(done.stderr, "ran"))


def test_outputs_that_a_stage_did_not_make_are_its_failure(new):
    project = new(train={**trivial.stages()["train"], "cmd": "true"})

    done = run(project, check=False)

    assert done.returncode == 1
    assert "models/" in project.read(f"logs/{told(done.stderr, 'failed')[0]}.log")


@pytest.mark.parametrize("dry", [[], ["--dry"]], ids=["run", "dry"])
def test_what_is_missing_and_made_by_no_stage_is_known_before_anything_runs(new, dry):
    project = new()
    (project.folder / "raw").unlink()

    done = run(project, *dry, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "raw: does not exist; ingest reads it and no stage produces it. Check params.yaml and dvc.yaml.\n"
    )


@pytest.mark.gate
@pytest.mark.parametrize("dry", [[], ["--dry"]], ids=["run", "dry"])
def test_a_corpus_and_a_fold_that_are_not_there_are_known_before_anything_runs(reproduced, tmp_path, dry):
    project = reproduced.clone(tmp_path / "clone")
    set_param(project, corpus="../nowhere", folds=[1, 12])

    done = run(project, *dry, check=False)
    serial = repro(project, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    corpus, fold = done.stderr.splitlines()
    assert corpus.startswith("params.yaml, key corpus: ../nowhere does not exist; expected a feature pack")
    assert fold.startswith("params.yaml, key folds: fold 12 does not exist; expected folds among 1, 2,")
    assert f"{corpus}\n{fold}\n" in serial.stderr
    assert "Running stage 'configure'" in serial.stdout


def test_a_misspelt_system_is_the_same_sentence_from_dvc_and_from_run(project):
    change = ("-S", "rows=[mmin,ifmmin]")
    serial = project.run(*DVC, "exp", "run", *change, "aggregate", check=False)

    parallel = run(project, "aggregate", check=False)

    sentence = "params.yaml, key rows: system 'ifmmin' is not defined under systems; did you mean if_mmin?\n"
    assert parallel.stderr == sentence
    assert sentence in serial.stderr


def test_a_folder_without_git_is_one_sentence(new):
    project = new()
    shutil.rmtree(project.folder / ".git")

    done = run(project, check=False)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Expected a git repository, which a downloaded ZIP is not: clone the project" in done.stderr


def test_from_a_folder_below_the_project_is_run_and_nothing_is_left_there(new):
    project = new()
    (project.folder / "below").mkdir()

    done = Project(project.folder / "below").run(*RUN)

    assert done.returncode == 0
    assert list((project.folder / "below").iterdir()) == []
    assert up_to_date(project)


@pytest.mark.gate
def test_a_merge_of_two_branches_that_were_both_reproduced_goes_as_the_guide_says(new):
    project = new()
    run(project)
    project.commit("base")
    project.run("git", "checkout", "-q", "-b", "other")
    for branch, value in (("other", 20), ("-", 30)):
        if branch == "-":
            project.run("git", "checkout", "-q", "-")
            run(project)
        set_param(project, lambda2=value)
        run(project)
        project.commit(f"lambda2 is {value}")
    assert project.run("git", "merge", "other", check=False).returncode == 1

    refused = run(project, check=False)
    project.run("git", "checkout", "--theirs", "params.yaml")
    lock = run(project, check=False)
    project.run("git", "checkout", "--ours", "dvc.lock", "table.json")
    done = run(project)
    project.commit("merged")

    assert refused.stderr.startswith("params.yaml: holds the conflict markers of a merge; expected one side.")
    assert lock.stderr.startswith("dvc.lock: holds the conflict markers of a merge; expected one side.")
    assert "ran" not in {line.split()[1] for line in done.stderr.splitlines() if line.startswith("[")}
    assert "system0 1-0 20" in project.read("models/system0-1-0")
    assert up_to_date(project)


def test_paths_that_a_killed_driver_held_are_free_whoever_has_its_pid_now(new):
    """As in a container, where each driver is process 1."""
    project = new()
    path = str(project.folder / "models" / "system0-1-0")
    mine, other = ({"pid": 1, "cmd": f"{cmd}, train@system0-1-0"} for cmd in ("ifmmin run", "dvc repro"))
    held = {"write": {path: mine}, "read": {str(project.folder / "raw"): [mine, other]}}
    (project.folder / ".dvc" / "tmp").mkdir(exist_ok=True)
    (project.folder / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(held))

    assert told(run(project).stderr, "held") == []
    assert json.loads(project.read(".dvc/tmp/rwlock"))["read"] == {str(project.folder / "raw"): [other]}


def test_a_kill_while_dvc_writes_who_holds_what_is_mended(new):
    """It writes that file in place; a later run would find it cut off."""
    project = new()
    (project.folder / ".dvc" / "tmp").mkdir(exist_ok=True)
    (project.folder / ".dvc" / "tmp" / "rwlock").write_text('{"write": {"')

    run(project)

    assert up_to_date(project)


def test_a_frozen_stage_is_left_to_dvc(new):
    project = new()
    run(project)
    project.run(*DVC, "freeze", "ingest")
    (project.folder / "raw").write_text("other\n")

    assert told(run(project).stderr, "ran") == []


# What is killed, and what is left.


def started(project, *arguments, command=RUN):
    with (project.folder / "logs.txt").open("a") as log:
        return subprocess.Popen(
            [*command, *arguments],
            cwd=project.folder,
            stdout=log,
            stderr=log,
            env={**environment_of(project), "DVC_NO_ANALYTICS": "true"},
            start_new_session=True,
            preexec_fn=hear_ctrl_c,
        )


def processes():
    """Parent, command line and folder of each process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(path.name)] = parent, (path / "cmdline").read_text(), str((path / "cwd").readlink())
        except OSError:
            continue
    return found


def below(pid):
    """A process and all below it: pid to command line."""
    tree = processes()
    found = {pid: tree[pid][1]} if pid in tree else {}
    while more := {p: line for p, (parent, line, _) in tree.items() if parent in found and p not in found}:
        found |= more
    return found


def of(project):
    """Processes that still run in a project's folder."""
    return [line for _, line, folder in processes().values() if folder.startswith(str(project.folder))]


MARKS = {"worker": "multiprocessing.spawn", "supervisor": "supervising.py", "stage": "models/"}


def victims(pid, who):
    """Whom to kill: of a worker or a supervisor, one that has a training at work."""
    family = below(pid)
    if who == "all":
        return list(family)
    busy = (p for p, line in family.items() if MARKS.get(who, "") in line)
    busy = (p for p in busy if any(MARKS["stage"] in line for line in below(p).values()))
    return [pid] if who == "driver" else list(busy)[:1]


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return found


def training(project):
    return list((project.folder / "models").glob("*"))


@pytest.fixture
def expected(new):
    serial = new("serial", **slowed())
    repro(serial)
    return made(serial)


@pytest.mark.parametrize("who", ["driver", "worker", "supervisor", "stage", "all"])
def test_a_kill_loses_nothing_and_leaves_nobody_who_writes(new, expected, who):
    project = new(**slowed())
    driver = started(project)
    wait_for(lambda: len(training(project)) > 2)

    for pid in wait_for(lambda: victims(driver.pid, who)):
        with suppress(ProcessLookupError):  # it went with its parent
            os.kill(pid, signal.SIGKILL)

    if who in ("driver", "all"):
        driver.wait()
        wait_for(lambda: not of(project), 5)
        second = run(project)
    else:
        status = driver.wait(60)
        assert (status == 0) == (who == "worker"), project.read("logs.txt")
        assert told(project.read("logs.txt"), "lost") if who == "worker" else status == 1
        second = run(project)
    ran = told(project.read("logs.txt") + second.stderr, "ran")
    assert len(ran) == len(set(ran)), "what had ended ran again"
    assert made(project) == expected
    assert up_to_date(project)


@pytest.mark.gate
def test_ctrl_c_ends_everything_and_keeps_what_has_finished(new, expected):
    project = new(**slowed())
    driver = started(project)
    wait_for(lambda: len(training(project)) > 2)

    os.killpg(driver.pid, signal.SIGINT)

    assert driver.wait(20) == 130
    assert of(project) == []
    said = project.read("logs.txt")
    assert re.search(
        r"^interrupted: \d+ of 17 stages done .*\. The same command goes on from there\.$", said, re.M
    )
    assert len(yaml.safe_load(project.read("dvc.lock"))["stages"]) >= 4
    run(project)
    assert made(project) == expected


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.8, 1.5])
def test_ctrl_c_while_workers_start_ends_without_a_traceback(new, seconds):
    """The seconds count from the moment at which the driver has its lock, which is before they start."""
    project = new(**slowed())
    driver = started(project)
    wait_for(lambda: (project.folder / ".dvc/tmp/run.lock").exists())
    time.sleep(seconds)

    os.killpg(driver.pid, signal.SIGINT)

    assert driver.wait(20) == 130
    said = project.read("logs.txt")
    assert "Traceback" not in said
    assert "Status.init" not in said
    assert "interrupted: " in said
    wait_for(lambda: of(project) == [])


def test_a_second_driver_is_refused(new):
    project = new(**slowed(5))
    first = started(project)
    wait_for(lambda: training(project))

    dry = run(project, "--dry")
    second = run(project, check=False)

    assert "would run aggregate" in dry.stdout
    assert second.returncode == 1
    assert second.stderr == (
        "another ifmmin run runs in this project; expected none. Wait for it to end, or stop it.\n"
    )
    assert first.wait(60) == 0


def test_dvc_repro_meanwhile_is_refused_and_corrupts_nothing(new, expected):
    project = new(**slowed())
    driver = started(project)
    wait_for(lambda: training(project))

    meanwhile = [repro(project, check=False) for _ in range(3)]

    assert driver.wait(90) == 0
    assert all("is busy" in done.stderr for done in meanwhile if done.returncode)
    assert meanwhile[0].returncode
    assert "ifmmin run, train@" in meanwhile[0].stderr
    repro(project)
    assert made(project) == expected


def test_it_waits_for_what_dvc_repro_runs(new, expected):
    project = new(**slowed())
    serial = started(project, "train", command=[*DVC, "repro"])
    wait_for(lambda: training(project))

    done = run(project)

    assert serial.wait(60) == 0 or "is busy" in project.read("logs.txt")
    assert told(done.stderr, "held")
    assert made(project) == expected


def test_workers_of_a_running_scheduler_and_of_a_file(new, tmp_path):
    """They were started somewhere else and know nothing of this project."""
    serial = new("serial")
    repro(serial)
    dask = [sys.executable, "-m", "distributed.cli"]
    file = tmp_path / "scheduler.json"
    elsewhere = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    host = ["--host", "127.0.0.1"]
    scheduler = subprocess.Popen(
        [
            *dask[:2],
            "distributed.cli.dask_scheduler",
            *host,
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            file,
        ],
        **elsewhere,
    )
    wait_for(file.exists)
    worker = subprocess.Popen(
        [
            *dask[:2],
            "distributed.cli.dask_worker",
            *host,
            "--scheduler-file",
            file,
            "--no-nanny",
            "--nthreads",
            "3",
        ],
        **elsewhere,
    )
    try:
        address = yaml.safe_load(file.read_text())["address"]
        for name, where in {
            "address": ["--address", address],
            "file": ["--scheduler-file", str(file)],
        }.items():
            project = new(name)
            project.run(*RUN[:4], "--cold", *where)
            assert made(project) == made(serial)
        alone = new("alone", **slowed())
        driver = started(alone, *where, command=[*RUN[:4], "--cold"])
        wait_for(lambda: len(training(alone)) > 2)
        driver.kill()
        driver.wait()
        wait_for(lambda: not of(alone), 5)
    finally:
        for process in (worker, scheduler):  # by force: its goodbye can take long
            process.kill()
            process.wait(20)
