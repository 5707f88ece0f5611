"""The command line of the parallel runner, and the workers that it asks for."""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from distributed import Client

from ifmmin.errors import UserError
from ifmmin.parallel import clusters


def arguments(argv: Sequence[str], description: str | None) -> argparse.Namespace:
    """Read the command line; what contradicts itself ends the process with a sentence."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", help="as for dvc repro; default: all")
    parser.add_argument("-j", "--jobs", type=int, help="workers; default: cores over threads of a training")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--address", help="of a Dask scheduler that runs already")
    where.add_argument("--scheduler-file", type=Path, help="of a Dask scheduler that runs already")
    where.add_argument(
        "--slurm", type=Path, metavar="FILE", help="YAML: arguments of dask_jobqueue.SLURMCluster"
    )
    parser.add_argument("--per-gpu", type=int, help="trainings that share a GPU (default 1)")
    parser.add_argument(
        "--keep-going", action="store_true", help="after a failure, run all that does not need it"
    )
    parser.add_argument(
        "--cold", action="store_true", help="start Python anew for each stage, as dvc repro does"
    )
    parser.add_argument("--dry", action="store_true", help="say what would run, and run nothing")
    args = parser.parse_args(argv)
    for name in ("jobs", "per_gpu"):
        if (n := getattr(args, name)) is not None and n < 1:
            parser.error(f"--{name.replace('_', '-')} is {n}; expected at least 1")
    if args.jobs and (args.address or args.scheduler_file):
        parser.error("-j is for workers that are started here; a running scheduler has its own")
    if args.per_gpu and (args.address or args.scheduler_file or args.slurm):
        parser.error("--per-gpu is for this machine; elsewhere workers say --resources GPU=N")
    for name in ("scheduler_file", "slurm"):  # as they are meant where the command is called
        if path := getattr(args, name):
            setattr(args, name, path.resolve())
    return args


@contextmanager
def client(
    args: argparse.Namespace, threads: int, say: Callable[[str], None], logs: Path
) -> Iterator[Client]:
    """The scheduler that the command line asks for.

    Raises:
        UserError: if there is none, or this machine has no such workers.
    """
    if args.slurm:
        chosen = clusters.slurm(args.slurm, args.jobs or 1, logs / "slurm")
    elif args.address or args.scheduler_file:
        chosen = clusters.existing(args.address, args.scheduler_file)
    else:
        slots = len(clusters.gpus()) * (args.per_gpu or 1)
        if slots and (args.jobs or 0) > slots:
            raise UserError(
                f"-j is {args.jobs}; expected at most {slots}, as each worker has a place on a GPU. Let more "
                "of them share one (--per-gpu), or compute without (IFMMIN_DEVICE=cpu)."
            )
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        chosen = clusters.local(args.jobs or slots or max(1, cores // threads), per_gpu=args.per_gpu or 1)
    with chosen as connected:
        say(f"Dask's dashboard: {connected.dashboard_link}")
        yield connected
