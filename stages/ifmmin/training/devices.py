"""Where and how precisely the arithmetic is done.

Chosen at run time, recorded beside each result, no part of the experiment.
"""

import os
from contextlib import AbstractContextManager
from typing import Any

import torch

from ifmmin.errors import UserError, one_line

PRECISIONS = ("float32", "tf32", "bf16")


def device() -> torch.device:
    """The device named by IFMMIN_DEVICE (cpu, cuda, cuda:1, ...), else a GPU where there is one.

    Raises:
        UserError: if the variable names no device of this machine.
    """
    name = os.environ.get("IFMMIN_DEVICE", "") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
        torch.ones(1, device=chosen).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"IFMMIN_DEVICE is {name!r}: {one_line(error)}. Set it to cpu, or to a device of this machine."
        ) from error
    return chosen


def precision() -> str:
    """The precision named by IFMMIN_PRECISION: float32 (default), tf32 or bf16.

    The latter two are of products only: weights and optimiser stay float32.

    Raises:
        UserError: if the variable holds something else.
    """
    name = os.environ.get("IFMMIN_PRECISION", "") or "float32"
    if name not in PRECISIONS:
        raise UserError(f"IFMMIN_PRECISION is {name!r}; expected one of {', '.join(PRECISIONS)}.")
    return name


def arithmetic(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The context in which networks run."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def model(device: torch.device) -> str:
    """Name the model of a GPU; of a processor nothing, as `entry.processor` names it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""


def has_bf16() -> bool:
    """Say whether this processor can run an LSTM in bf16; some have no instructions for it."""
    try:
        with torch.no_grad(), arithmetic(torch.device("cpu"), "bf16"):
            torch.nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


def side_by_side() -> int:
    """Batches to answer at once: OMP_NUM_THREADS, else one for each core of this process; one on a GPU.

    Raises:
        UserError: if the variable is no number of threads.
    """
    # Of nested loops it may name several: the outermost counts.
    stated = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if stated and not (stated.isascii() and stated.isdecimal() and int(stated)):
        raise UserError(f"OMP_NUM_THREADS is {stated!r}; expected a number from 1. Unset it, or set it so.")
    if device().type != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(stated or cores or 1)


def settle(threads: int) -> tuple[torch.device, dict[str, Any]]:
    """Settle where and how precisely this process computes.

    Args:
        threads: of the arithmetic.

    Returns:
        The device, and what every result says of its run: kind of device, precision, threads.

    Raises:
        UserError: if the environment names a device or a precision that is not to be had.
    """
    chosen, name = device(), precision()
    if name == "tf32" and chosen.type != "cuda":
        raise UserError(
            f"IFMMIN_PRECISION is 'tf32', which only a GPU of NVIDIA has, and the device is {chosen.type}. "
            "Set it to float32 or bf16, or IFMMIN_DEVICE to a GPU."
        )
    if name == "bf16" and chosen.type == "cpu" and not has_bf16():
        raise UserError(
            "IFMMIN_PRECISION is 'bf16', for which this processor has no instructions. "
            "Set it to float32, or IFMMIN_DEVICE to a GPU."
        )
    # Both, as by default one has it and the other not.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    torch.set_num_threads(threads)
    return chosen, {"device": chosen.type, "precision": name, "threads": threads}
