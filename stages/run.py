"""Runs the stages of dvc.yaml on several workers at once, and leaves what `dvc repro` would have left.

python stages/run.py                          # as many workers as this machine has cores for
python stages/run.py -j 2 evaluate            # two; targets as for dvc repro
python stages/run.py --address tcp://head:8786        # workers of a Dask cluster that runs already
python stages/run.py --slurm slurm.yaml -j 20         # workers in 20 jobs of a SLURM queue
"""

import logging
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ifmmin import entry, params, planning, project
from ifmmin.artifacts.raw import FILES
from ifmmin.errors import UserError, one_line
from ifmmin.parallel import clusters, interrupts, locks, options
from ifmmin.parallel.display import Display, log_of
from ifmmin.parallel.driving import Driver, Estimates, rehearsed
from ifmmin.parallel.supervising import Job
from ifmmin.parallel.working import THREADS

GPU_SCRIPTS = ("evaluate", "pretrain", "train")
"""Scripts that compute on a GPU where there is one."""
HELD = "stages/run.py, "
"""How this driver names itself to DVC where it holds a stage's paths."""
PASSED_ON = ("IFMMIN_DEVICE", "IFMMIN_PRECISION")


class Workspace:
    """The project as DVC knows it: the only place that uses its internals (3.63 and later).

    It does for each stage what `dvc.stage.Stage.reproduce` does, in two halves, so that the command between
    them can run elsewhere.
    """

    def __init__(self, threads: int) -> None:
        """Open the project of the current folder; `threads` are those of a stage."""
        from dvc.repo import Repo

        for name in ("dvc", "dvc_data", "dvc_objects"):  # whose bars would run into the display
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with _expecting("a git repository, which a downloaded ZIP is not: clone the project with git"):
            self.repo = Repo(_wait_for_lock=True)
            self.repo.scm  # noqa: B018 - whether there is one
        self.root, self.tmp = Path(self.repo.root_dir), Path(self.repo.tmp_dir)
        self.logs = self.root / "logs"
        self.tokens = self.tmp / "running"
        for folder in (self.logs, self.tokens):
            folder.mkdir(exist_ok=True)
        self._threads = threads
        self._hardlink = self.repo.config["core"].get("hardlink_lock", False)
        self._stages: dict[str, Any] = {}
        self._new: dict[str, Any] = {}
        self._held: dict[str, ExitStack] = {}
        self._locks: dict[Path, Lock] = {}

    def forget(self) -> None:
        """Release what an earlier driver held: it was killed, as there is but one; its PID may be reused."""
        from dvc.lock import make_lock

        path, guard = self.tmp / "rwlock", str(self.tmp / "rwlock.lock")
        with self._locked(), make_lock(guard, tmp_dir=str(self.tmp), hardlink_lock=self._hardlink):
            locks.release(path, HELD)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold DVC's own lock, for moments only."""
        with self.repo.lock, interrupts.deferred(), self.repo.scm_context(quiet=True):
            yield

    def plan(self, targets: Sequence[str]) -> dict[str, set[str]]:
        """The stages of the targets in the order of dvc repro, each with those that must come before it.

        Raises:
            UserError: if DVC cannot read the project, or make out a target.
        """
        from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

        with self._locked():
            with _expecting("a project that `dvc status` can read"):
                graph = get_active_graph(self.repo.index.graph)
            with _expecting("targets as for dvc repro (`dvc stage list`)"):
                chosen = collect_stages(self.repo, list(targets) or ["dvc.yaml"])
            steps = plan_repro(graph, chosen)
        self._stages = {stage.addressing: stage for stage in steps}
        return {
            name: {need.addressing for need in graph.successors(stage)} & self._stages.keys()
            for name, stage in self._stages.items()
        }

    def needed(self, targets: Sequence[str]) -> dict[Path, str]:
        """What the stages of the targets read and no stage makes: path to the first stage that reads it."""
        self.plan(targets)
        made = {Path(out.fs_path) for stage in self.repo.index.stages for out in stage.outs}
        found: dict[Path, str] = {}
        for name, stage in self._stages.items():
            for dep in stage.deps:
                path = Path(dep.fs_path)
                if not any(out in (path, *path.parents) or path in out.parents for out in made):
                    found.setdefault(Path(dep.def_path), name)
        return found

    def changed(self, name: str) -> bool:
        """Whether a stage's command, code, inputs, params or outputs have changed, or are just changing."""
        from dvc.lock import LockError

        try:
            with self._locked():
                return bool(self._stages[name].changed())
        except LockError:
            return True

    def prepare(self, name: str) -> Literal["unchanged", "restored", "held", "failed"] | Job:
        """Bring a stage up to date without running it, if that can be; else lock its paths.

        "held": another process has it, which may be one that a driver left behind when it was killed.
        "failed": something that it needs is not there, as its log says.
        """
        from dvc.exceptions import DvcException
        from dvc.lock import LockError

        if not locks.free(self._token(name)):
            return "held"
        try:
            with self._locked():
                return self._prepare(name)
        except LockError:
            return "held"
        except (DvcException, OSError) as error:
            return self._fault(name, error)

    def _fault(self, name: str, error: Exception) -> Literal["failed"]:
        """Write into the log of a stage what DVC, or the system, says of it."""
        with log_of(self.logs, name).open("a", encoding="utf-8") as log:
            log.write(f"{one_line(error)}\n")
        return "failed"

    def _prepare(self, name: str) -> Literal["unchanged", "restored"] | Job:
        from dvc.stage.cache import RunCacheNotFoundError

        stage = self._stages[name]
        if not stage.changed():
            return "unchanged"
        log_of(self.logs, name).unlink(missing_ok=True)
        if not stage.cmd or stage.frozen or stage.is_import:  # nothing that a worker could do
            stage.reproduce()
            if stage.is_data_source:
                stage.dump(update_pipeline=False)
            else:
                self._new[name] = stage
            return "restored"
        stage.remove_outs(ignore_remove=False, force=False)
        try:
            self.repo.stage_cache.restore(stage)
        except RunCacheNotFoundError:
            stage.save_deps()
        else:
            self._save(name)
            return "restored"
        self._hold(name)
        return self._job(name)

    def _token(self, name: str) -> Path:
        """A file that is locked as long as a process of the stage lives, of whatever driver."""
        return self.tokens / name.replace(os.sep, "%")

    def _hold(self, name: str) -> None:
        """Lock the paths of a stage as DVC does: a dvc repro meanwhile is refused."""
        from dvc.rwlock import rwlock

        stage = self._stages[name]
        reads, writes = ([of.fs_path for of in side] for side in (stage.deps, stage.outs))
        held = ExitStack()
        held.enter_context(
            rwlock(self.repo.tmp_dir, self.repo.fs, HELD + name, reads, writes, self._hardlink)
        )
        self._held[name] = held

    def _job(self, name: str) -> Job:
        stage = self._stages[name]
        commands = stage.cmd if isinstance(stage.cmd, list) else stage.cmd.splitlines()
        script = Path(commands[0].partition(".py")[0]).name
        environment = {
            entry.ROOT: str(self.root),
            "DVC_STAGE": name,
            **dict.fromkeys(THREADS, str(self._threads)),
            **{key: os.environ[key] for key in PASSED_ON if key in os.environ},
        }
        log, token, attempt = str(log_of(self.logs, name)), str(self._token(name)), uuid.uuid4().hex
        return Job(name, commands, stage.wdir, environment, log, token, attempt, script in GPU_SCRIPTS)

    def finish(self, name: str, *, good: bool) -> bool:
        """Release a stage's paths and, if it went well, take its outputs into the cache.

        Returns:
            Whether it went well, and its outputs are there; what is wrong with them goes to its log.
        """
        from dvc.exceptions import DvcException

        with self._locked():
            self._held.pop(name).close()
            try:
                if good:
                    self._save(name)
            except (DvcException, OSError) as error:
                self._fault(name, error)
                return False
        return good

    def _save(self, name: str) -> None:
        stage = self._stages[name]
        stage.save(run_cache=all(out.use_cache or out.is_metric or out.is_plot for out in stage.outs))
        stage.commit()
        self._new[name] = stage

    def write_lock(self) -> None:
        """Write into dvc.lock what has finished since, as one new file: a kill leaves the one before."""
        if self._new:
            with self._locked():
                for path in {_lockfile(stage) for stage in self._new.values()}:
                    self._write(path)
            self._new.clear()

    def _write(self, path: Path) -> None:
        """Lay all that this driver finished over the file as it was before: new entries in dvc repro's order.

        Where someone else wrote it meanwhile, lay over theirs what has finished since.
        """
        from dvc.dvcfile import Lockfile

        now = path.read_bytes() if path.exists() else b""
        lock = self._locks.setdefault(path, Lock(now, now))
        if now != lock.written:
            lock.before, lock.stages = now, {}
        lock.stages |= {name: stage for name, stage in self._new.items() if _lockfile(stage) == path}
        part = self.tmp / "dvc.lock"
        part.write_bytes(lock.before)
        Lockfile(self.repo, str(part)).dump_stages([lock.stages[n] for n in self._stages if n in lock.stages])
        lock.written = part.read_bytes()
        if lock.written == now:
            return
        shutil.copymode(path.with_suffix(".yaml"), part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        self.repo.scm_context.files_to_track.discard(os.path.relpath(part))
        self.repo.scm_context.track_file(os.path.relpath(path))


@contextmanager
def _expecting(what: str) -> Iterator[None]:
    """Turn what DVC says into one sentence, with what was expected."""
    from dvc.exceptions import DvcException

    try:
        yield
    except DvcException as error:
        raise UserError(f"{one_line(error)}. Expected {what}.") from error


@dataclass
class Lock:
    """A dvc.lock: as it was before this driver, as this driver wrote it last, and the stages laid over it."""

    before: bytes
    written: bytes
    stages: dict[str, Any] = field(default_factory=dict)


def _lockfile(stage: Any) -> Path:  # noqa: ANN401 - DVC's classes are for Workspace alone
    return Path(stage.dvcfile.path).with_suffix(".lock")


def entered() -> dict[str, Any]:
    """Go to the project's folder, where the record of this run is kept too, and read params.yaml."""
    os.chdir(root := project.root())
    os.environ[entry.ROOT] = str(root)
    project.check_merged(root)
    return params.read(Path("params.yaml"), *planning.PARAMS, "pretrain", "train")


def run(driver: Driver, display: Display, targets: Sequence[str]) -> None:
    """Run what the targets need, and say what became of it, however it ends."""
    try:
        with display:
            driver.run(targets)
    except KeyboardInterrupt:
        display.say(f"interrupted: {display.summary(driver)}. The same command goes on from there.", "bold")
        raise
    display.table(driver)
    if project.results_differ(Path.cwd()):
        display.say(project.DIFFER)


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = options.arguments(argv, __doc__)
    settings = entered()
    threads = max(settings[group]["threads"] for group in ("pretrain", "train"))
    workspace = Workspace(threads)
    planning.check(settings, Path("dvc.yaml"), FILES.values(), workspace.needed(args.targets))
    if args.dry:
        sys.stdout.writelines(f"{line}\n" for line in rehearsed(workspace, args.targets))
        return {}
    display = Display(workspace.logs)
    workers = clusters.Workers(
        partial(options.client, args, threads, display.say, workspace.logs), warm=not args.cold
    )
    driver = Driver(workspace, workers, display, Estimates(workspace.logs), keep_going=args.keep_going)
    with locks.alone(workspace.tmp / "run.lock"), workers:
        workspace.forget()
        run(driver, display, args.targets)
        facts = {"workers": workers.threads(), "threads": threads, "warm": not args.cold}
    if failed := [name for name, fate in driver.fates.items() if fate == "failed"]:
        raise UserError(
            f"{len(failed)} of {driver.total} stages failed: {', '.join(failed)}. See {workspace.logs}."
        )
    return facts


if __name__ == "__main__":
    interrupts.hear()
    entry.run(main)
