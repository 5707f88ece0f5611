"""Scheduling of a parallel run, with a fake workspace and fake workers."""

import pytest

from ifmmin.parallel.driving import Driver, Estimates
from ifmmin.parallel.supervising import GONE, Job

PLAN = {
    "ingest": set(),
    "train@a-1-0": {"ingest"},
    "train@b-1-0": {"ingest"},
    "evaluate@a-1-0": {"train@a-1-0"},
    "evaluate@b-1-0": {"train@b-1-0"},
    "aggregate": {"evaluate@a-1-0", "evaluate@b-1-0"},
}


class Workspace:
    """A workspace in which all stages must run, except those with a given fate."""

    def __init__(self, fates=None, held=0):
        self.fates, self.held = fates or {}, held
        self.finished, self.lock, self.open = [], [], set()

    def plan(self, targets):
        return {name: set(needs) for name, needs in PLAN.items()}

    def prepare(self, name):
        assert PLAN[name] <= {*self.finished, *self.fates}, f"{name} starts before its dependencies"
        if name == "train@a-1-0" and self.held:
            self.held -= 1
            return "held"
        if name in self.fates:
            return self.fates[name]
        self.open.add(name)
        return Job(name, [], "", {}, "", "", "", gpu=False)

    def finish(self, name, *, succeeded):
        self.open.discard(name)
        if succeeded:
            self.finished.append(name)
        return succeeded

    def write_lock(self):
        self.lock = list(self.finished)


class Workers:
    """Workers that end stages in the order of their start, with the given statuses."""

    def __init__(self, threads=2, statuses=None):
        self._threads = iter([*([0] * (threads == 0)), *[threads or 1] * 1000])
        self.statuses = {name: list(values) for name, values in (statuses or {}).items()}
        self.started, self.running, self.most, self.stopped = [], [], 0, False

    def capacity(self):
        return next(self._threads)

    def submit(self, job):
        self.started.append(job.name)
        self.running.append(job.name)
        self.most = max(self.most, len(self.running))

    def ended(self, seconds):
        if self.running and seconds:
            name = self.running.pop(0)
            status = self.statuses.get(name, [0])
            if status[0] is KeyboardInterrupt:
                raise KeyboardInterrupt
            yield name, status.pop(0) if len(status) > 1 else status[0]

    def stop(self):
        self.stopped = True


class Watcher:
    def __init__(self):
        self.reports, self.messages = [], []

    def say(self, text):
        self.messages.append(text)

    def report_outcome(self, fate, name, seconds, done):
        self.reports.append((fate, name))

    def show(self, driver):
        assert driver.seconds_left() >= 0


@pytest.fixture
def run(tmp_path):
    def start(workspace=None, workers=None, *, keep_going=False):
        workspace, workers, watcher = workspace or Workspace(), workers or Workers(), Watcher()
        driver = Driver(workspace, workers, watcher, Estimates(tmp_path), keep_going=keep_going)
        driver.run([])
        return driver, workspace, workers, watcher

    return start


def test_each_stage_runs_once_and_after_its_dependencies(run):
    driver, workspace, workers, _ = run()

    assert sorted(workers.started) == sorted(PLAN)
    for name, needs in PLAN.items():
        assert all(workers.started.index(need) < workers.started.index(name) for need in needs)
    assert set(driver.outcomes.values()) == {"ran"}
    assert workspace.lock == workspace.finished
    assert set(driver.seconds) == set(PLAN)


@pytest.mark.parametrize(("threads", "most"), [(1, 1), (2, 2), (8, 2)])
def test_as_many_stages_run_at_once_as_there_are_workers(run, threads, most):
    _, _, workers, _ = run(workers=Workers(threads))

    assert workers.most == most


def test_unchanged_and_restored_stages_need_no_worker(run):
    fates = {name: "unchanged" for name in PLAN if name != "aggregate"} | {"train@b-1-0": "restored"}

    driver, _, workers, _ = run(Workspace(fates))

    assert workers.started == ["aggregate"]
    assert driver.outcomes["train@b-1-0"] == "restored"
    assert list(driver.seconds) == ["aggregate"]


def test_the_stage_with_the_longest_remaining_path_starts_first(run, tmp_path):
    """Both trainings are ready; a took 9 s last time, but the evaluation of b took 50 s."""
    (tmp_path / "evaluate@b-1-0.json").write_text('{"stage": "evaluate@b-1-0", "seconds": 50}')
    (tmp_path / "train@a-1-0.json").write_text('{"stage": "train@a-1-0", "seconds": 9}')

    _, _, workers, _ = run()

    assert workers.started[:3] == ["ingest", "train@b-1-0", "train@a-1-0"]


def test_after_a_failure_running_stages_end_and_no_others_start(run):
    driver, workspace, workers, _ = run(workers=Workers(statuses={"train@a-1-0": [1]}))

    assert workers.started == ["ingest", "train@a-1-0", "train@b-1-0"]
    assert workspace.lock == ["ingest", "train@b-1-0"]
    assert driver.outcomes["train@a-1-0"] == "failed"
    assert [name for name, fate in driver.outcomes.items() if fate == "skipped"] == [
        "evaluate@a-1-0",
        "evaluate@b-1-0",
        "aggregate",
    ]


def test_with_keep_going_a_failure_skips_only_its_descendants(run):
    driver, workspace, _, _ = run(workers=Workers(statuses={"train@a-1-0": [1]}), keep_going=True)

    assert workspace.lock == ["ingest", "train@b-1-0", "evaluate@b-1-0"]
    assert driver.outcomes["aggregate"] == driver.outcomes["evaluate@a-1-0"] == "skipped"


def test_missing_outputs_are_a_failure(run):
    class Missing(Workspace):
        def finish(self, name, *, succeeded):
            return super().finish(name, succeeded=succeeded and name != "train@a-1-0")

    driver, _, _, _ = run(Missing())

    assert driver.outcomes["train@a-1-0"] == "failed"


def test_a_stage_whose_worker_died_runs_again(run):
    driver, _, workers, watcher = run(workers=Workers(statuses={"train@a-1-0": [GONE, GONE, 0]}))

    assert workers.started.count("train@a-1-0") == 3
    assert driver.outcomes["train@a-1-0"] == "ran"
    assert watcher.reports.count(("lost", "train@a-1-0")) == 2


def test_a_stage_that_kills_every_worker_fails(run):
    driver, _, workers, _ = run(workers=Workers(statuses={"train@a-1-0": [GONE]}))

    assert workers.started.count("train@a-1-0") == 3
    assert driver.outcomes["train@a-1-0"] == "failed"


def test_a_stage_held_by_another_process_waits_and_is_reported_once(run):
    driver, _, _, watcher = run(Workspace(held=5))

    assert driver.outcomes["train@a-1-0"] == "ran"
    assert watcher.reports.count(("held", "train@a-1-0")) == 1


def test_without_workers_the_run_waits_and_reports_it(run):
    driver, _, _, watcher = run(workers=Workers(0))

    assert set(driver.outcomes.values()) == {"ran"}
    assert watcher.messages == ["no workers are connected; waiting"]


def test_an_interrupt_stops_running_stages_and_keeps_finished_ones(tmp_path):
    workspace, workers = Workspace(), Workers(statuses={"train@b-1-0": [KeyboardInterrupt]})
    driver = Driver(workspace, workers, Watcher(), Estimates(tmp_path), keep_going=False)

    with pytest.raises(KeyboardInterrupt):
        driver.run([])

    assert workers.stopped
    assert workspace.open == set()
    assert workspace.lock == ["ingest", "train@a-1-0"]


def test_estimates_use_the_stage_else_similar_stages_else_the_mean(tmp_path):
    """Records: a 10 and 20 s, b 3 s. The estimate is 15 s for another a, (15 + 3) / 2 s for other stages."""
    for name, seconds in {"train@a-1-0": 10, "train@a-2-0": 20, "train@b-1-0": 3}.items():
        (tmp_path / f"{name}.json").write_text(f'{{"stage": "{name}", "seconds": {seconds}}}')
    (tmp_path / "broken.json").write_text('{"stage": ')
    estimates = Estimates(tmp_path)

    before = estimates.estimate(["train@a-2-0", "train@a-3-0", "aggregate"])
    estimates.add("aggregate", 1.0)

    assert before == {"train@a-2-0": 20, "train@a-3-0": 15, "aggregate": 9}
    assert estimates.estimate(["aggregate"]) == {"aggregate": 1.0}


def test_without_records_each_stage_counts_one_second(tmp_path):
    assert Estimates(tmp_path / "none").estimate(["a", "b"]) == {"a": 1.0, "b": 1.0}
