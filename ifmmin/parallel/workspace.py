"""The DVC project: the only module that uses DVC's internals (3.63 and later)."""

import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ifmmin.core.errors import UserError, one_line
from ifmmin.parallel import interrupts, locks
from ifmmin.parallel.display import log_of
from ifmmin.parallel.supervising import Job
from ifmmin.parallel.working import THREADS

GPU_STAGES = ("stages.evaluate", "stages.measure", "stages.pretrain", "stages.train")
"""Stage modules that use a GPU if there is one."""
HELD = "ifmmin run, "
"""Prefix that identifies this driver in DVC's record of held paths."""
PASSED_ON = (
    "IFMMIN_DEVICE",
    "IFMMIN_PRECISION",
    "IFMMIN_TRACKING",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_TRACKING_URI",
)
"""Environment variables of the driver that reach every stage, wherever its worker runs."""


class Workspace:
    """The stages of a project.

    It splits `dvc.stage.Stage.reproduce` into two halves (prepare, finish), so that the command between them
    can run on a worker.
    """

    def __init__(self, threads: int) -> None:
        """Open the project of the current folder; `threads` is the number of threads of a stage."""
        from dvc.repo import Repo

        for name in ("dvc", "dvc_data", "dvc_objects"):  # their progress bars would disturb the display
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with _expecting("a git repository, which a downloaded ZIP is not. Clone the project with git"):
            self.repo = Repo(_wait_for_lock=True)
            self.repo.scm  # noqa: B018 - raises if there is none
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

    def release_stale_locks(self) -> None:
        """Release the paths that a killed driver still holds. Call this only while holding the driver lock.

        DVC itself cannot detect a killed driver if its PID was reused.
        """
        from dvc.lock import make_lock

        path, guard = self.tmp / "rwlock", str(self.tmp / "rwlock.lock")
        with self._locked(), make_lock(guard, tmp_dir=str(self.tmp), hardlink_lock=self._hardlink):
            locks.release(path, HELD)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold DVC's own lock; keep it short."""
        with self.repo.lock, interrupts.deferred(), self.repo.scm_context(quiet=True):
            yield

    def plan(self, targets: Sequence[str]) -> dict[str, set[str]]:
        """Return the stages of the targets in the order of dvc repro, each with its dependencies.

        Raises:
            UserError: if DVC cannot read the project or resolve a target.
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
        """Return the external inputs of the targets' stages: path to the first stage that reads it."""
        self.plan(targets)
        outputs = {Path(out.fs_path) for stage in self.repo.index.stages for out in stage.outs}
        readers: dict[Path, str] = {}
        for name, stage in self._stages.items():
            for dep in stage.deps:
                path = Path(dep.fs_path)
                if not any(out in (path, *path.parents) or path in out.parents for out in outputs):
                    readers.setdefault(Path(dep.def_path), name)
        return readers

    def changed(self, name: str) -> bool:
        """Return whether a stage's command, code, inputs, params or outputs changed or are being written."""
        from dvc.lock import LockError

        try:
            with self._locked():
                return bool(self._stages[name].changed())
        except LockError:
            return True

    def prepare(self, name: str) -> Literal["unchanged", "restored", "held", "failed"] | Job:
        """Update a stage without running it if possible; else lock its paths and return its job.

        "held": another process holds it, possibly one that a killed driver left behind.
        "failed": an input is missing; the stage's log has the details.
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
        """Append an error of DVC or the system to the log of a stage."""
        with log_of(self.logs, name).open("a", encoding="utf-8") as log:
            log.write(f"{one_line(error)}\n")
        return "failed"

    def _prepare(self, name: str) -> Literal["unchanged", "restored"] | Job:
        from dvc.stage.cache import RunCacheNotFoundError

        stage = self._stages[name]
        if not stage.changed():
            return "unchanged"
        log_of(self.logs, name).unlink(missing_ok=True)
        if not stage.cmd or stage.frozen or stage.is_import:  # a worker has nothing to run
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
        """Return the file that is locked as long as a process of the stage lives, of any driver."""
        return self.tokens / name.replace(os.sep, "%")

    def _hold(self, name: str) -> None:
        """Lock the paths of a stage like DVC: a concurrent dvc repro stops with an error."""
        from dvc.rwlock import rwlock

        stage = self._stages[name]
        reads, writes = ([path.fs_path for path in side] for side in (stage.deps, stage.outs))
        held = ExitStack()
        held.enter_context(
            rwlock(self.repo.tmp_dir, self.repo.fs, HELD + name, reads, writes, self._hardlink)
        )
        self._held[name] = held

    def _job(self, name: str) -> Job:
        stage = self._stages[name]
        commands = stage.cmd if isinstance(stage.cmd, list) else stage.cmd.splitlines()
        environment = {
            "DVC_ROOT": str(self.root),
            "DVC_STAGE": name,
            **dict.fromkeys(THREADS, str(self._threads)),
            **{key: os.environ[key] for key in PASSED_ON if key in os.environ},
        }
        log, token, attempt = str(log_of(self.logs, name)), str(self._token(name)), uuid.uuid4().hex
        gpu = any(name in commands[0].split() for name in GPU_STAGES)
        return Job(name, commands, stage.wdir, environment, log, token, attempt, gpu)

    def finish(self, name: str, *, succeeded: bool) -> bool:
        """Release a stage's paths and, if it succeeded, cache its outputs.

        Returns:
            Whether it succeeded and all outputs exist; its log has the errors.
        """
        from dvc.exceptions import DvcException

        with self._locked():
            self._held.pop(name).close()
            try:
                if succeeded:
                    self._save(name)
            except (DvcException, OSError) as error:
                self._fault(name, error)
                return False
        return succeeded

    def _save(self, name: str) -> None:
        stage = self._stages[name]
        stage.save(run_cache=all(out.use_cache or out.is_metric or out.is_plot for out in stage.outs))
        stage.commit()
        self._new[name] = stage

    def write_lock(self) -> None:
        """Write newly finished stages to dvc.lock by replacing the file; a kill leaves the previous one."""
        if self._new:
            with self._locked():
                for path in {_lockfile(stage) for stage in self._new.values()}:
                    self._write(path)
            self._new.clear()

    def _write(self, path: Path) -> None:
        """Merge all stages finished by this driver into the original file, in the order of dvc repro.

        If another process wrote the file meanwhile, merge the newly finished stages into its version.
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
    """Convert DVC's errors to a UserError of one line that states the expectation."""
    from dvc.exceptions import DvcException

    try:
        yield
    except DvcException as error:
        raise UserError(f"{one_line(error)}. Expected {what}.") from error


@dataclass
class Lock:
    """A dvc.lock: content before this driver, content last written by it, and its merged stages."""

    before: bytes
    written: bytes
    stages: dict[str, Any] = field(default_factory=dict)


def _lockfile(stage: Any) -> Path:  # noqa: ANN401 - only Workspace imports DVC
    return Path(stage.dvcfile.path).with_suffix(".lock")
