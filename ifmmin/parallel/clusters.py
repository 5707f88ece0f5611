"""Dask workers for the stages: on this machine, in a running Dask cluster, or in a SLURM queue."""

import logging
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import cloudpickle
import dask
import yaml
from distributed import (
    Client,
    Future,
    KilledWorker,
    Nanny,
    Scheduler,
    SchedulerPlugin,
    SpecCluster,
    WorkerPlugin,
)
from distributed.worker import Worker

from ifmmin.core.errors import UserError, one_line
from ifmmin.parallel import interrupts, working
from ifmmin.parallel.supervising import GONE, Job

PACKAGE = str(Path(__file__).parents[2])
GPU = "GPU"
"""The Dask resource that a GPU stage takes one unit of, if any worker has it."""
QUIET = logging.CRITICAL
SETTINGS = {
    # The driver retries a stage whose worker died, after making sure that the old process has ended.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.daemon": True,
    "distributed.comm.timeouts.connect": "10s",
}


def _on_path() -> None:
    if PACKAGE not in sys.path:
        sys.path.append(PACKAGE)


class WorkerSetup(WorkerPlugin):
    """Makes this package importable on a worker started in any folder.

    The class is pickled by value for this reason.
    """

    name = "ifmmin"

    def setup(self, worker: Worker) -> None:
        """Put the project on the import path."""
        _on_path()

    def transition(self, key: object, start: str, finish: str, **kwargs: object) -> None:
        """Stop a stage that was cancelled, for instance because its driver ended."""
        if start == "executing" and finish not in ("memory", "error"):
            from ifmmin.parallel import working  # the worker's own module: this class is pickled by value

            working.stop(str(key))

    def teardown(self, worker: Worker) -> None:
        """Stop all stages when the worker closes."""
        from ifmmin.parallel import working

        for key in list(working.BUSY):
            working.stop(key)


class SchedulerSetup(SchedulerPlugin):
    """Makes this package importable on the scheduler, which unpickles the tasks."""

    name = "ifmmin"

    async def start(self, scheduler: Scheduler) -> None:
        """Put the project on the import path."""
        _on_path()


class Workers:
    """Dask workers that execute stages. They start when the first stage is submitted."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Client]], *, warm: bool) -> None:
        """Store the function that connects to the scheduler, and whether to use warm supervisors."""
        self._connect, self._warm = connect, warm
        self._open = ExitStack()
        self.client: Client | None = None
        self._ended: queue.SimpleQueue[Future[int]] = queue.SimpleQueue()
        self._jobs: dict[Future[int], Job] = {}

    def __enter__(self) -> Self:
        """Return the workers; none has started yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """Stop running stages and the workers started here."""
        self._open.close()

    def capacity(self) -> int:
        """Return how many stages can run in parallel; 1 until the first is submitted.

        Raises:
            UserError: if the scheduler has ended.
        """
        if self.client is None:
            return 1
        try:
            return sum(self.client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise UserError(
                f"Dask's scheduler has ended ({one_line(error)}); expected it to keep running. Run again: "
                "finished stages are kept."
            ) from error

    def submit(self, job: Job) -> None:
        """Submit a job."""
        client = self.client = self.client or self._connected()
        gpus = job.gpu and any(GPU in w["resources"] for w in client.scheduler_info(-1)["workers"].values())
        future = client.submit(
            working.execute,
            job,
            warm=self._warm,
            key=job.key,
            pure=False,
            retries=0,
            resources={GPU: 1} if gpus else None,
        )
        self._jobs[future] = job
        future.add_done_callback(self._ended.put)

    def _connected(self) -> Client:
        logging.getLogger("distributed").setLevel(logging.ERROR)
        client = self._open.enter_context(self._connect())
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        client.register_plugin(SchedulerSetup())
        client.register_plugin(WorkerSetup())
        return client

    def ended(self, seconds: float) -> Iterator[tuple[str, int]]:
        """Wait up to `seconds` for stages to end; yield name and exit status, GONE if the worker died."""
        try:
            future = self._ended.get(timeout=seconds)
            while True:
                job = self._jobs.pop(future)
                yield job.name, self._status(future, job)
                future.release()
                future = self._ended.get(timeout=0)
        except queue.Empty:
            return

    def _status(self, future: "Future[int]", job: Job) -> int:
        if future.status == "finished":
            return future.result()
        error = future.exception() if future.status == "error" else None
        if error is None or isinstance(error, KilledWorker):
            return GONE
        with Path(job.log).open("a") as log:
            log.write(f"the worker could not run it: {one_line(error)}\n")
        return 1

    def stop(self) -> None:
        """Cancel all running stages."""
        if self.client and self._jobs:
            self.client.cancel(list(self._jobs), force=True)


@contextmanager
def local(workers: int, *, per_gpu: int) -> Iterator[Client]:
    """Start workers on this machine, each for one stage at a time.

    Args:
        workers: number of workers.
        per_gpu: number of workers that share a GPU; the other workers run stages that need no GPU.
    """
    visible, options = gpus(), []
    for i in range(workers):
        gpu = visible[i // per_gpu : i // per_gpu + 1]
        gpu_options = {"resources": {GPU: 1}, "env": {"CUDA_VISIBLE_DEVICES": gpu[0]}} if gpu else {}
        common = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "silence_logs": QUIET}
        options.append({**common, **gpu_options})
    address = {"host": "127.0.0.1", "port": 0, "dashboard": True, "dashboard_address": "127.0.0.1:0"}
    with dask.config.set(SETTINGS), ExitStack() as started:
        with interrupts.blocked_in_children():
            cluster = SpecCluster(
                workers={i: {"cls": Nanny, "options": worker} for i, worker in enumerate(options)},
                scheduler={"cls": Scheduler, "options": address},
                silence_logs=QUIET,
            )
            client = started.enter_context(Client(started.enter_context(cluster)))
        yield client


def gpus() -> list[str]:
    """List the NVIDIA GPUs that this process may use, as named in CUDA_VISIBLE_DEVICES."""
    if os.environ.get("IFMMIN_DEVICE", "cuda").partition(":")[0] != "cuda":
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(i) for i, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


@contextmanager
def existing(address: str | None, scheduler_file: Path | None) -> Iterator[Client]:
    """Connect to a running scheduler and use its workers.

    Raises:
        UserError: if the scheduler file is missing or no scheduler answers.
    """
    if scheduler_file and not scheduler_file.is_file():
        raise UserError(
            f"{scheduler_file}: no such file; expected what `dask scheduler --scheduler-file` writes."
        )
    target = {"scheduler_file": str(scheduler_file)} if scheduler_file else {"address": address}
    with dask.config.set(SETTINGS):
        try:
            client = Client(**target)
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"no Dask scheduler answers at {scheduler_file or address} ({one_line(error)}); "
                "expected a running scheduler. Start one (`dask scheduler`), or correct the address."
            ) from error
        with client:
            yield client


@contextmanager
def slurm(path: Path, jobs: int, logs: Path) -> Iterator[Client]:
    """Start workers as SLURM jobs; lost jobs are replaced.

    Args:
        path: YAML file with arguments of dask_jobqueue.SLURMCluster.
        jobs: number of jobs.
        logs: folder for the output of the jobs, unless the file names one.

    Raises:
        UserError: if the file is invalid, or SLURM is not available.
    """
    from dask_jobqueue.slurm import SLURMCluster

    settings = {"cores": 1, "processes": 1, "death_timeout": 60, "log_directory": str(logs), **_mapping(path)}
    try:
        with (
            dask.config.set({**SETTINGS, "distributed.worker.daemon": False}),
            SLURMCluster(**settings, scheduler_options={"dashboard_address": ":0"}) as cluster,
        ):
            _test_job_script(path, cluster.job_script())
            cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
            with Client(cluster) as client:
                yield client
    except UserError:
        raise
    except (TypeError, ValueError, FileNotFoundError) as error:
        raise UserError(
            f"{path}: SLURM cannot start workers with these settings ({one_line(error)}). Expected arguments "
            "of dask_jobqueue.SLURMCluster, and sbatch on the PATH."
        ) from error


def _test_job_script(path: Path, script: str) -> None:
    """Test the job script with SLURM: otherwise Dask would retry an invalid one forever.

    Raises:
        UserError: if SLURM rejects it.
    """
    result = subprocess.run(
        ["sbatch", "--test-only"],  # noqa: S607 - its path depends on the cluster
        input=script,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise UserError(
            f"{path}: SLURM rejects the job script ({one_line(ValueError(result.stderr))}). Correct the file."
        )


def _mapping(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not readable as YAML; {one_line(error)}. Correct the file.") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: is not a mapping; expected arguments of dask_jobqueue.SLURMCluster.")
    return content
