"""The order of a parallel run, on a workspace and workers made of lists."""

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
    """Stages that have to run but for those said otherwise; writes down what it is asked."""

    def __init__(self, how=None, held=0):
        self.how, self.holds = how or {}, held
        self.finished, self.lock, self.open = [], [], set()

    def plan(self, targets):
        return {name: set(needs) for name, needs in PLAN.items()}

    def prepare(self, name):
        assert PLAN[name] <= {*self.finished, *self.how}, f"{name} before what it needs"
        if name == "train@a-1-0" and self.holds:
            self.holds -= 1
            return "held"
        if name in self.how:
            return self.how[name]
        self.open.add(name)
        return Job(name, [], "", {}, "", "", "", gpu=False)

    def finish(self, name, *, good):
        self.open.discard(name)
        if good:
            self.finished.append(name)
        return good

    def write_lock(self):
        self.lock = list(self.finished)


class Workers:
    """Workers that end stages in the order of their start, with the statuses that they are given."""

    def __init__(self, threads=2, statuses=None):
        self._threads = iter([*([0] * (threads == 0)), *[threads or 1] * 1000])
        self.statuses = {name: list(given) for name, given in (statuses or {}).items()}
        self.started, self.running, self.most, self.stopped = [], [], 0, False

    def threads(self):
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
        self.told, self.said = [], []

    def say(self, text):
        self.said.append(text)

    def tell(self, fate, name, seconds, done):
        self.told.append((fate, name))

    def show(self, driver):
        assert driver.left() >= 0


@pytest.fixture
def run(tmp_path):
    def start(workspace=None, workers=None, *, keep_going=False):
        workspace, workers, watcher = workspace or Workspace(), workers or Workers(), Watcher()
        driver = Driver(workspace, workers, watcher, Estimates(tmp_path), keep_going=keep_going)
        driver.run([])
        return driver, workspace, workers, watcher

    return start


def test_each_stage_runs_once_and_after_what_it_needs(run):
    driver, workspace, workers, _ = run()

    assert sorted(workers.started) == sorted(PLAN)
    for name, needs in PLAN.items():
        assert all(workers.started.index(need) < workers.started.index(name) for need in needs)
    assert set(driver.fates.values()) == {"ran"}
    assert workspace.lock == workspace.finished
    assert set(driver.seconds) == set(PLAN)


@pytest.mark.parametrize(("threads", "most"), [(1, 1), (2, 2), (8, 2)])
def test_as_many_at_once_as_there_are_workers(run, threads, most):
    _, _, workers, _ = run(workers=Workers(threads))

    assert workers.most == most


def test_unchanged_and_restored_stages_need_no_worker(run):
    how = {name: "unchanged" for name in PLAN if name != "aggregate"} | {"train@b-1-0": "restored"}

    driver, _, workers, _ = run(Workspace(how))

    assert workers.started == ["aggregate"]
    assert driver.fates["train@b-1-0"] == "restored"
    assert list(driver.seconds) == ["aggregate"]


def test_the_longest_way_to_the_end_starts_first(run, tmp_path):
    """Of two that are ready b was the slower one last time, or its evaluation was."""
    (tmp_path / "evaluate@b-1-0.json").write_text('{"stage": "evaluate@b-1-0", "seconds": 50}')
    (tmp_path / "train@a-1-0.json").write_text('{"stage": "train@a-1-0", "seconds": 9}')

    _, _, workers, _ = run()

    assert workers.started[:3] == ["ingest", "train@b-1-0", "train@a-1-0"]


def test_a_failure_lets_what_runs_end_and_starts_nothing_more(run):
    driver, workspace, workers, _ = run(workers=Workers(statuses={"train@a-1-0": [1]}))

    assert workers.started == ["ingest", "train@a-1-0", "train@b-1-0"]
    assert workspace.lock == ["ingest", "train@b-1-0"]
    assert driver.fates["train@a-1-0"] == "failed"
    assert [name for name, fate in driver.fates.items() if fate == "skipped"] == [
        "evaluate@a-1-0",
        "evaluate@b-1-0",
        "aggregate",
    ]


def test_with_keep_going_a_failure_stops_its_descendants_only(run):
    driver, workspace, _, _ = run(workers=Workers(statuses={"train@a-1-0": [1]}), keep_going=True)

    assert workspace.lock == ["ingest", "train@b-1-0", "evaluate@b-1-0"]
    assert driver.fates["aggregate"] == driver.fates["evaluate@a-1-0"] == "skipped"


def test_outputs_that_are_not_there_are_a_failure(run):
    class Missing(Workspace):
        def finish(self, name, *, good):
            return super().finish(name, good=good and name != "train@a-1-0")

    driver, _, _, _ = run(Missing())

    assert driver.fates["train@a-1-0"] == "failed"


def test_a_stage_whose_worker_died_runs_again(run):
    driver, _, workers, watcher = run(workers=Workers(statuses={"train@a-1-0": [GONE, GONE, 0]}))

    assert workers.started.count("train@a-1-0") == 3
    assert driver.fates["train@a-1-0"] == "ran"
    assert watcher.told.count(("lost", "train@a-1-0")) == 2


def test_a_stage_that_kills_every_worker_has_failed(run):
    driver, _, workers, _ = run(workers=Workers(statuses={"train@a-1-0": [GONE]}))

    assert workers.started.count("train@a-1-0") == 3
    assert driver.fates["train@a-1-0"] == "failed"


def test_a_stage_that_another_process_holds_waits_and_that_is_said_once(run):
    driver, _, _, watcher = run(Workspace(held=5))

    assert driver.fates["train@a-1-0"] == "ran"
    assert watcher.told.count(("held", "train@a-1-0")) == 1


def test_without_workers_it_waits_and_says_so(run):
    driver, _, _, watcher = run(workers=Workers(0))

    assert set(driver.fates.values()) == {"ran"}
    assert watcher.said == ["no workers; waiting for some"]


def test_an_interrupt_ends_what_runs_and_keeps_what_has_finished(tmp_path):
    workspace, workers = Workspace(), Workers(statuses={"train@b-1-0": [KeyboardInterrupt]})
    driver = Driver(workspace, workers, Watcher(), Estimates(tmp_path), keep_going=False)

    with pytest.raises(KeyboardInterrupt):
        driver.run([])

    assert workers.stopped
    assert workspace.open == set()
    assert workspace.lock == ["ingest", "train@a-1-0"]


def test_estimates_are_their_own_else_those_of_their_like_else_the_mean(tmp_path):
    """Of a 10 and 20 s are known, of b 3 s: another a takes 15 s, what is unlike both (15 + 3) / 2 s."""
    for name, seconds in {"train@a-1-0": 10, "train@a-2-0": 20, "train@b-1-0": 3}.items():
        (tmp_path / f"{name}.json").write_text(f'{{"stage": "{name}", "seconds": {seconds}}}')
    (tmp_path / "broken.json").write_text('{"stage": ')
    estimates = Estimates(tmp_path)

    before = estimates.of(["train@a-2-0", "train@a-3-0", "aggregate"])
    estimates.add("aggregate", 1.0)

    assert before == {"train@a-2-0": 20, "train@a-3-0": 15, "aggregate": 9}
    assert estimates.of(["aggregate"]) == {"aggregate": 1.0}


def test_nothing_known_counts_one_second_a_stage(tmp_path):
    assert Estimates(tmp_path / "none").of(["a", "b"]) == {"a": 1.0, "b": 1.0}
