"""Where and how precisely the arithmetic is done.

Chosen at run time, recorded beside each result, no part of the experiment.
"""

import os
from contextlib import AbstractContextManager
from typing import Any

import torch

from ifmmin.errors import UserError, one_line

PRECISIONS = ("float32", "bf16")


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
    """The precision named by IFMMIN_PRECISION: float32 (default) or bf16.

    The latter is mixed: weights and optimiser stay float32.

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


def described(device: torch.device, threads: int) -> dict[str, Any]:
    """What every result says of its run: kind of device, precision, threads."""
    return {"device": device.type, "precision": precision(), "threads": threads}
