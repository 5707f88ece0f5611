"""Workers selected by the command line."""

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client

from ifmmin.core.errors import UserError
from ifmmin.parallel import clusters


@contextmanager
def client(
    args: argparse.Namespace, threads: int, say: Callable[[str], None], logs: Path
) -> Iterator[Client]:
    """Connect to the scheduler selected by the command line, or start one.

    Raises:
        UserError: if the scheduler does not answer, or -j exceeds the number of GPU slots.
    """
    if args.slurm:
        cluster = clusters.slurm(args.slurm, args.jobs or 1, logs / "slurm")
    elif args.address or args.scheduler_file:
        cluster = clusters.existing(args.address, args.scheduler_file)
    else:
        slots = len(clusters.gpus()) * (args.per_gpu or 1)
        if slots and (args.jobs or 0) > slots:
            raise UserError(
                f"-j is {args.jobs}; expected at most {slots}, one worker per GPU slot. Let more workers "
                "share a GPU (--per-gpu), or use the CPU (IFMMIN_DEVICE=cpu)."
            )
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        cluster = clusters.local(args.jobs or slots or max(1, cores // threads), per_gpu=args.per_gpu or 1)
    with cluster as connected:
        say(f"Dask's dashboard: {connected.dashboard_link}")
        yield connected
