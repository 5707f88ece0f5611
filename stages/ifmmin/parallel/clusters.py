"""Workers to run stages on: of this machine, of a Dask cluster that runs already, or of a SLURM queue."""

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

from ifmmin.errors import UserError, one_line
from ifmmin.parallel import interrupts, working
from ifmmin.parallel.supervising import GONE, Job

PACKAGE = str(Path(__file__).parents[2])
GPU = "GPU"
"""The Dask resource that a stage takes one of where a worker has any."""
QUIET = logging.CRITICAL
SETTINGS = {
    # A stage whose worker died is the driver's business: it makes sure that its process is gone.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.daemon": True,
    "distributed.comm.timeouts.connect": "10s",
}


def _on_path() -> None:
    if PACKAGE not in sys.path:
        sys.path.append(PACKAGE)


class OfWorker(WorkerPlugin):
    """Lets a worker import this package, wherever it was started; sent by value, hence."""

    name = "ifmmin"

    def setup(self, worker: Worker) -> None:
        """Put the project's stages on the path."""
        _on_path()

    def transition(self, key: object, start: str, finish: str, **kwargs: object) -> None:
        """End a stage that nobody waits for any more, as when its driver is gone."""
        if start == "executing" and finish not in ("memory", "error"):
            from ifmmin.parallel import working  # where the worker is, by its name

            working.stop(str(key))

    def teardown(self, worker: Worker) -> None:
        """End all stages when the worker closes."""
        from ifmmin.parallel import working

        for key in list(working.BUSY):
            working.stop(key)


class OfScheduler(SchedulerPlugin):
    """The same for the scheduler, which looks into what it passes on."""

    name = "ifmmin"

    async def start(self, scheduler: Scheduler) -> None:
        """Put the project's stages on the path."""
        _on_path()


class Workers:
    """Dask's workers: stages are handed to them, and their ends are asked for. They start with the first."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Client]], *, warm: bool) -> None:
        """Take what connects to their scheduler."""
        self._connect, self._warm = connect, warm
        self._open = ExitStack()
        self.client: Client | None = None
        self._ended: queue.SimpleQueue[Future[int]] = queue.SimpleQueue()
        self._jobs: dict[Future[int], Job] = {}

    def __enter__(self) -> Self:
        """Nothing starts yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """End what runs, and what was started."""
        self._open.close()

    def threads(self) -> int:
        """How many stages they run at once; 1 until the first is submitted."""
        if self.client is None:
            return 1
        try:
            return sum(self.client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise UserError(
                f"Dask's scheduler is gone ({one_line(error)}); expected it to run on. What has finished is "
                "kept: run again."
            ) from error

    def submit(self, job: Job) -> None:
        """Hand over a job."""
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
        client.register_plugin(OfScheduler())
        client.register_plugin(OfWorker())
        return client

    def ended(self, seconds: float) -> Iterator[tuple[str, int]]:
        """Wait up to so many seconds for ends of stages: name and exit status, GONE if its worker is."""
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
        """End what runs."""
        if self.client and self._jobs:
            self.client.cancel(list(self._jobs), force=True)


@contextmanager
def local(workers: int, *, per_gpu: int) -> Iterator[Client]:
    """Workers of this machine, each for one stage at a time.

    Args:
        workers: how many.
        per_gpu: how many of them may use each GPU; the others compute on the processor what needs none.
    """
    visible, options = gpus(), []
    for i in range(workers):
        gpu = visible[i // per_gpu : i // per_gpu + 1]
        own = {"resources": {GPU: 1}, "env": {"CUDA_VISIBLE_DEVICES": gpu[0]}} if gpu else {}
        options.append({"nthreads": 1, "memory_limit": 0, "dashboard": False, "silence_logs": QUIET, **own})
    address = {"host": "127.0.0.1", "port": 0, "dashboard": True, "dashboard_address": "127.0.0.1:0"}
    with dask.config.set(SETTINGS), ExitStack() as started:
        with interrupts.not_heard_by_children():
            cluster = SpecCluster(
                workers={i: {"cls": Nanny, "options": own} for i, own in enumerate(options)},
                scheduler={"cls": Scheduler, "options": address},
                silence_logs=QUIET,
            )
            client = started.enter_context(Client(started.enter_context(cluster)))
        yield client


def gpus() -> list[str]:
    """Names of the GPUs of NVIDIA that this process may use, as CUDA_VISIBLE_DEVICES spells them."""
    if os.environ.get("IFMMIN_DEVICE", "cuda").partition(":")[0] != "cuda":
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(i) for i, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


@contextmanager
def existing(address: str | None, scheduler_file: Path | None) -> Iterator[Client]:
    """Whatever workers a running scheduler has.

    Raises:
        UserError: if there is none.
    """
    if scheduler_file and not scheduler_file.is_file():
        raise UserError(
            f"{scheduler_file}: no such file; expected what `dask scheduler --scheduler-file` writes."
        )
    where = {"scheduler_file": str(scheduler_file)} if scheduler_file else {"address": address}
    with dask.config.set(SETTINGS):
        try:
            client = Client(**where)
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"no Dask scheduler answers at {scheduler_file or address} ({one_line(error)}); "
                "expected one. Start it (`dask scheduler`), or mend the address."
            ) from error
        with client:
            yield client


@contextmanager
def slurm(path: Path, jobs: int, logs: Path) -> Iterator[Client]:
    """Workers in jobs of a SLURM queue; a job that is lost is replaced.

    Args:
        path: a YAML file of arguments of dask_jobqueue.SLURMCluster.
        jobs: how many.
        logs: folder for what they print, unless the file names one.

    Raises:
        UserError: if the file cannot be used, or SLURM cannot.
    """
    from dask_jobqueue.slurm import SLURMCluster

    settings = {"cores": 1, "processes": 1, "death_timeout": 60, "log_directory": str(logs), **_mapping(path)}
    try:
        with (
            dask.config.set({**SETTINGS, "distributed.worker.daemon": False}),
            SLURMCluster(**settings, scheduler_options={"dashboard_address": ":0"}) as cluster,
        ):
            _rehearse(path, cluster.job_script())
            cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
            with Client(cluster) as client:
                yield client
    except UserError:
        raise
    except (TypeError, ValueError, FileNotFoundError) as error:
        raise UserError(
            f"{path}: SLURM cannot be used with it: {one_line(error)}. Expected arguments of "
            "dask_jobqueue.SLURMCluster, and sbatch on the PATH."
        ) from error


def _rehearse(path: Path, script: str) -> None:
    """Have SLURM say what is wrong with the jobs; otherwise they would be tried for ever."""
    said = subprocess.run(
        ["sbatch", "--test-only"],  # noqa: S607 - where it lies is the cluster's business
        input=script,
        capture_output=True,
        text=True,
    )
    if said.returncode:
        raise UserError(
            f"{path}: SLURM refuses the jobs: {one_line(ValueError(said.stderr))}. Mend the file."
        )


def _mapping(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not readable as YAML; {one_line(error)}. Mend the file.") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: is no group of keys; expected arguments of dask_jobqueue.SLURMCluster.")
    return content
