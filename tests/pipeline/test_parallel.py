"""`ifmmin run` leaves the same files as `dvc repro`, whichever process is killed on the way.

Most tests run trivial stages: both commands run the same dvc.yaml in two folders.
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

from pipeline.conftest import ROOT, Project, configured, environment_of, restore_ctrl_c

pytestmark = pytest.mark.slow

DVC = [sys.executable, "-m", "dvc"]
RUN = [sys.executable, "-m", "ifmmin", "run", "-j", "2", "--cold"]
NAME = "${item.system}-${item.fold}-${item.seed}"
SLOW = (
    f"mkdir -p models && rm -f models/{NAME} && "
    f"for i in 1 2 3 4 5 6 7 8; do echo $i >> models/{NAME}; sleep 0.2; done"
)
NOTED = "echo $IFMMIN_TRACKING $MLFLOW_TRACKING_URI"
OUTPUTS = ("all", "table.json", "dvc.lock", "models", "predictions")


@pytest.fixture
def new(tmp_path):
    """A function that makes a project in a new folder."""

    def make(name="parallel", **changed):
        project = configured(Project(trivial.make(tmp_path / name, **changed)))
        project.commit("new")
        return project

    return make


def slowed(times=1):
    """The trivial stages with trainings that take `times` 1.6 s and write all the time."""
    return {"train": {**trivial.stages()["train"], "cmd": SLOW.replace("sleep 0.2", f"sleep {0.2 * times}")}}


def repro(project, *arguments, **options):
    return project.run(*DVC, "repro", *arguments, **options)


def run(project, *arguments, **options):
    return project.run(*RUN, *arguments, **options)


def outputs(project):
    """Bytes of all outputs, and the content of dvc.lock."""
    files = (f for name in OUTPUTS for path in [project.folder / name] for f in (path, *path.rglob("*")))
    content = {str(f.relative_to(project.folder)): f.read_bytes() for f in files if f.is_file()}
    return content | {"dvc.lock": yaml.safe_load(content.get("dvc.lock", b"{}"))}


def stages_with(output, fate):
    """Stages that the output of a run lists with this fate (ran, restored, failed, ...)."""
    words = (line.split() for line in output.splitlines() if line.startswith("["))
    return sorted(w[2] for w in words if w[1] == fate)


def up_to_date(project):
    status = project.run(*DVC, "status").stdout
    again = repro(project).stdout
    return "up to date" in status and "Running" not in again


@pytest.mark.gate
def test_run_leaves_the_same_files_as_dvc_repro(new):
    serial, parallel = new("serial", folds=2), new(folds=2)
    repro(serial)

    output = run(parallel).stderr

    assert outputs(parallel) == outputs(serial)
    assert parallel.read("dvc.lock") == serial.read("dvc.lock"), "entries must be in the order of dvc repro"
    assert len(stages_with(output, "ran")) == len(yaml.safe_load(serial.read("dvc.lock"))["stages"]) == 32
    assert up_to_date(parallel)
    assert stages_with(run(parallel).stderr, "ran") == []


def files(project, *folders):
    paths = (path for folder in folders for path in (project.folder / folder).rglob("*"))
    return {str(path.relative_to(project.folder)): path.read_bytes() for path in paths if path.is_file()}


def test_warm_workers_and_dvc_repro_write_the_same_bytes(reproduced, tmp_path):
    """A warm worker forks each stage from a process with loaded libraries; dvc repro starts a new one."""
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

    assert outputs(parallel) == outputs(serial)


def test_an_unknown_target_is_a_one_line_error(new):
    done = run(new(), "nothing", check=False)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "'nothing'" in done.stderr
    assert "Expected targets as for dvc repro" in done.stderr


def test_a_folder_outside_a_project_is_a_one_line_error(tmp_path):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    done = run(Project(tmp_path), check=False)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is not inside a project; expected dvc.yaml and params.yaml" in done.stderr


def set_param(project, **values):
    path = project.folder / "params.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **values}, sort_keys=False))


def test_a_param_changed_back_is_restored_from_the_run_cache(new):
    project = new()
    run(project)
    project.commit("100")
    before = outputs(project)

    set_param(project, lambda2=10)
    with_10 = run(project).stderr
    set_param(project, lambda2=100)
    with_100 = run(project).stderr

    assert stages_with(with_10, "ran") == sorted(
        [*(f"{group}@{name}-1-0" for group in ("train", "evaluate") for name in trivial.SYSTEMS), "aggregate"]
    )
    assert stages_with(with_100, "ran") == []
    assert stages_with(with_100, "restored") == stages_with(with_10, "ran")
    assert outputs(project) == before


def test_params_set_by_dvc_exp_run_are_used_and_can_be_saved(new):
    project = new()
    run(project)
    project.commit("100")

    project.run(*DVC, "exp", "run", "-S", "lambda2=10", "split@1")
    run(project)

    assert "system0 1-0 10" in project.read("models/system0-1-0")
    assert up_to_date(project)
    project.run(*DVC, "exp", "save", "-n", "ten")
    assert "ten" in project.run(*DVC, "exp", "list", "--name-only").stdout


def test_dry_lists_what_would_run_and_runs_nothing(new):
    project = new()

    output = run(project, "--dry", "evaluate@system1-1-0").stdout

    assert sorted(line.split()[-1] for line in output.splitlines()[:-1]) == [
        "evaluate@system1-1-0",
        "ingest",
        "pretrain@fusion-1-0",
        "pretrain@invariant-1-0",
        "split@1",
        "train@system1-1-0",
    ]
    assert outputs(project) == {"dvc.lock": {}}
    run(project)
    assert run(project, "--dry").stdout.startswith("0 of 17 stages")


FAILING = "echo going; echo why >&2; exit 7"


def failing():
    stages = trivial.stages()
    command = f"if [ ${{item.system}} = system1 ]; then {FAILING}; fi; {stages['train']['cmd']}"
    return {"train": {**stages["train"], "cmd": command}}


@pytest.mark.gate
@pytest.mark.parametrize("keep_going", [False, True])
def test_a_failing_stage_stops_its_descendants_and_shows_its_log(new, keep_going):
    project = new(**failing())

    done = run(project, *(["--keep-going"] if keep_going else []), check=False)

    assert done.returncode == 1
    assert stages_with(done.stderr, "failed") == ["train@system1-1-0"]
    assert "    going\n    why\n" in done.stderr
    assert done.stderr.endswith(f"1 of 17 stages failed: train@system1-1-0. See {project.folder / 'logs'}.\n")
    assert "why" in project.read("logs/train@system1-1-0.log")
    [skipped] = re.findall(r"^(\d+) stages were skipped after the failure$", done.stderr, re.MULTILINE)
    assert int(skipped) == 2 or not keep_going
    assert int(skipped) >= 2, "evaluate@system1-1-0 and aggregate"
    entries = yaml.safe_load(project.read("dvc.lock"))["stages"]
    assert sorted(entries) == sorted(stages_with(done.stderr, "ran"))


def test_a_stage_that_does_not_write_its_outputs_fails(new):
    project = new(train={**trivial.stages()["train"], "cmd": "true"})

    done = run(project, check=False)

    assert done.returncode == 1
    assert "models/" in project.read(f"logs/{stages_with(done.stderr, 'failed')[0]}.log")


@pytest.mark.parametrize("dry", [[], ["--dry"]], ids=["run", "dry"])
def test_a_missing_input_that_no_stage_writes_stops_the_run_at_once(new, dry):
    project = new()
    (project.folder / "raw").unlink()

    done = run(project, *dry, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "raw: does not exist; ingest reads it and no stage produces it. Check params.yaml and dvc.yaml.\n"
    )


@pytest.mark.gate
@pytest.mark.parametrize("dry", [[], ["--dry"]], ids=["run", "dry"])
def test_a_missing_corpus_and_a_missing_fold_stop_the_run_at_once(reproduced, tmp_path, dry):
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


def test_a_misspelt_system_gives_the_same_error_in_dvc_and_in_run(project):
    change = ("-S", "rows=[mmin,ifmmin]")
    serial = project.run(*DVC, "exp", "run", *change, "aggregate", check=False)

    parallel = run(project, "aggregate", check=False)

    message = "params.yaml, key rows: system 'ifmmin' is not defined under systems; did you mean if_mmin?\n"
    assert parallel.stderr == message
    assert message in serial.stderr


def test_a_folder_without_git_is_a_one_line_error(new):
    project = new()
    shutil.rmtree(project.folder / ".git")

    done = run(project, check=False)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Expected a git repository, which a downloaded ZIP is not. Clone the project" in done.stderr


def test_run_works_from_a_subfolder_and_leaves_nothing_there(new):
    project = new()
    (project.folder / "below").mkdir()

    done = Project(project.folder / "below").run(*RUN)

    assert done.returncode == 0
    assert list((project.folder / "below").iterdir()) == []
    assert up_to_date(project)


@pytest.mark.gate
def test_two_reproduced_branches_merge_as_the_guide_says(new):
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

    assert refused.stderr.startswith(
        "params.yaml: has unresolved merge conflicts; expected a file without conflict markers."
    )
    assert lock.stderr.startswith(
        "dvc.lock: has unresolved merge conflicts; expected a file without conflict markers."
    )
    assert "ran" not in {line.split()[1] for line in done.stderr.splitlines() if line.startswith("[")}
    assert "system0 1-0 20" in project.read("models/system0-1-0")
    assert up_to_date(project)


def test_locks_of_a_killed_driver_are_free_even_if_its_pid_is_reused(new):
    """As in a container, where every driver is process 1."""
    project = new()
    path = str(project.folder / "models" / "system0-1-0")
    mine, other = ({"pid": 1, "cmd": f"{cmd}, train@system0-1-0"} for cmd in ("ifmmin run", "dvc repro"))
    held = {"write": {path: mine}, "read": {str(project.folder / "raw"): [mine, other]}}
    (project.folder / ".dvc" / "tmp").mkdir(exist_ok=True)
    (project.folder / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(held))

    assert stages_with(run(project).stderr, "held") == []
    assert json.loads(project.read(".dvc/tmp/rwlock"))["read"] == {str(project.folder / "raw"): [other]}


def test_a_truncated_rwlock_is_repaired(new):
    """DVC writes the file in place, so a kill can truncate it."""
    project = new()
    (project.folder / ".dvc" / "tmp").mkdir(exist_ok=True)
    (project.folder / ".dvc" / "tmp" / "rwlock").write_text('{"write": {"')

    run(project)

    assert up_to_date(project)


def test_a_frozen_stage_does_not_run(new):
    project = new()
    run(project)
    project.run(*DVC, "freeze", "ingest")
    (project.folder / "raw").write_text("other\n")

    assert stages_with(run(project).stderr, "ran") == []


# Kills.


def started(project, *arguments, command=RUN):
    with (project.folder / "logs.txt").open("a") as log:
        return subprocess.Popen(
            [*command, *arguments],
            cwd=project.folder,
            stdout=log,
            stderr=log,
            env={**environment_of(project), "DVC_NO_ANALYTICS": "true"},
            start_new_session=True,
            preexec_fn=restore_ctrl_c,
        )


def processes():
    """Pid to parent, command line and working folder of each process."""
    result = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            result[int(path.name)] = parent, (path / "cmdline").read_text(), str((path / "cwd").readlink())
        except OSError:
            continue
    return result


def process_tree(pid):
    """A process and its descendants: pid to command line."""
    tree = processes()
    result = {pid: tree[pid][1]} if pid in tree else {}
    while more := {p: line for p, (parent, line, _) in tree.items() if parent in result and p not in result}:
        result |= more
    return result


def processes_in(project):
    """Command lines of the processes that run in a project's folder."""
    return [line for _, line, folder in processes().values() if folder.startswith(str(project.folder))]


MARKS = {
    "worker": ("multiprocessing.spawn", "dask worker"),
    "supervisor": ("supervising.py",),
    "stage": ("models/",),
}
"""Parts of command lines. Dask names its workers if setproctitle is installed, as it is with mutmut."""


def victims(pid, who):
    """The pids to kill; a worker or supervisor is one with a running training."""
    family = process_tree(pid)
    if who == "all":
        return list(family)
    busy = (p for p, line in family.items() if any(mark in line for mark in MARKS.get(who, ("",))))
    busy = (p for p in busy if any(MARKS["stage"][0] in line for line in process_tree(p).values()))
    return [pid] if who == "driver" else list(busy)[:1]


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)
    return result


def training(project):
    return list((project.folder / "models").glob("*"))


@pytest.fixture
def expected(new):
    serial = new("serial", **slowed())
    repro(serial)
    return outputs(serial)


@pytest.mark.parametrize("who", ["driver", "worker", "supervisor", "stage", "all"])
def test_a_kill_loses_no_result_and_leaves_no_writing_process(new, expected, who):
    project = new(**slowed())
    driver = started(project)
    wait_for(lambda: len(training(project)) > 2)

    for pid in wait_for(lambda: victims(driver.pid, who)):
        with suppress(ProcessLookupError):  # it died with its parent
            os.kill(pid, signal.SIGKILL)

    if who in ("driver", "all"):
        driver.wait()
        wait_for(lambda: not processes_in(project), 5)
        second = run(project)
    else:
        status = driver.wait(60)
        assert (status == 0) == (who == "worker"), project.read("logs.txt")
        assert stages_with(project.read("logs.txt"), "lost") if who == "worker" else status == 1
        second = run(project)
    ran = stages_with(project.read("logs.txt") + second.stderr, "ran")
    assert len(ran) == len(set(ran)), "a finished stage ran again"
    assert outputs(project) == expected
    assert up_to_date(project)


@pytest.mark.gate
def test_ctrl_c_stops_everything_and_keeps_finished_stages(new, expected):
    project = new(**slowed())
    driver = started(project)
    wait_for(lambda: len(training(project)) > 2)

    os.killpg(driver.pid, signal.SIGINT)

    assert driver.wait(20) == 130
    assert processes_in(project) == []
    output = project.read("logs.txt")
    assert re.search(
        r"^interrupted: \d+ of 17 stages done .*\. Run the same command again to continue\.$", output, re.M
    )
    assert len(yaml.safe_load(project.read("dvc.lock"))["stages"]) >= 4
    run(project)
    assert outputs(project) == expected


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.8, 1.5])
def test_ctrl_c_while_workers_start_ends_without_a_traceback(new, seconds):
    """The seconds count from the driver's lock, which it takes before workers start."""
    project = new(**slowed())
    driver = started(project)
    wait_for(lambda: (project.folder / ".dvc/tmp/run.lock").exists())
    time.sleep(seconds)

    os.killpg(driver.pid, signal.SIGINT)

    assert driver.wait(20) == 130
    output = project.read("logs.txt")
    assert "Traceback" not in output
    assert "Status.init" not in output
    assert "interrupted: " in output
    wait_for(lambda: processes_in(project) == [])


def test_a_second_driver_is_refused(new):
    project = new(**slowed(5))
    first = started(project)
    wait_for(lambda: training(project))

    dry = run(project, "--dry")
    second = run(project, check=False)

    assert "would run aggregate" in dry.stdout
    assert second.returncode == 1
    assert second.stderr == (
        "another `ifmmin run` is already running in this project. Wait for it to end, or stop it.\n"
    )
    assert first.wait(60) == 0


def test_a_concurrent_dvc_repro_is_refused_and_corrupts_nothing(new, expected):
    project = new(**slowed())
    driver = started(project)
    wait_for(lambda: training(project))

    attempts = [repro(project, check=False) for _ in range(3)]

    assert driver.wait(90) == 0
    assert all("is busy" in done.stderr for done in attempts if done.returncode)
    assert attempts[0].returncode
    assert "ifmmin run, train@" in attempts[0].stderr
    repro(project)
    assert outputs(project) == expected


def test_run_waits_for_stages_that_dvc_repro_runs(new, expected):
    project = new(**slowed())
    serial = started(project, "train", command=[*DVC, "repro"])
    wait_for(lambda: training(project))

    done = run(project)

    assert serial.wait(60) == 0 or "is busy" in project.read("logs.txt")
    assert stages_with(done.stderr, "held")
    assert outputs(project) == expected


def test_run_uses_a_scheduler_given_by_address_or_by_file(new, tmp_path):
    """The workers were started in another folder and know nothing of this project, or of its environment."""
    serial = new("serial")
    repro(serial)
    dask = [sys.executable, "-m", "distributed.cli"]
    file = tmp_path / "scheduler.json"
    popen_options = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
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
        **popen_options,
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
        **popen_options,
    )
    try:
        address = yaml.safe_load(file.read_text())["address"]
        for name, option in {
            "address": ["--address", address],
            "file": ["--scheduler-file", str(file)],
        }.items():
            project = new(name)
            project.run(*RUN[:4], "--cold", *option)
            assert outputs(project) == outputs(serial)
        split = {**trivial.stages()["split"], "cmd": f"mkdir -p folds && {NOTED} > folds/${{item.fold}}"}
        noted = new("noted", split=split)
        uri = "http://localhost:5000"
        noted.run(*RUN[:4], "--cold", *option, IFMMIN_TRACKING="mlflow", MLFLOW_TRACKING_URI=uri)
        assert noted.read("folds/1") == f"mlflow {uri}\n"
        alone = new("alone", **slowed())
        driver = started(alone, *option, command=[*RUN[:4], "--cold"])
        wait_for(lambda: len(training(alone)) > 2)
        driver.kill()
        driver.wait()
        wait_for(lambda: not processes_in(alone), 5)
    finally:
        for process in (worker, scheduler):  # a clean shutdown can take long
            process.kill()
            process.wait(20)
