"""Device, precision and number of threads of a run.

They come from the environment and params.yaml and are recorded with each result.
"""

import os
from contextlib import AbstractContextManager
from typing import Any

import torch

from ifmmin.core.errors import UserError, one_line

PRECISIONS = ("float32", "tf32", "bf16")


def device() -> torch.device:
    """The device in IFMMIN_DEVICE (cpu, cuda, cuda:1, ...); by default a GPU if available, else the CPU.

    Raises:
        UserError: if this machine does not have the device.
    """
    name = os.environ.get("IFMMIN_DEVICE", "") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
        torch.ones(1, device=chosen).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"IFMMIN_DEVICE is {name!r}: {one_line(error)}. Set it to cpu or to a device of this machine."
        ) from error
    return chosen


def precision() -> str:
    """The precision in IFMMIN_PRECISION: float32 (default), tf32 or bf16.

    tf32 and bf16 apply to matrix products only; weights and optimiser state stay float32.

    Raises:
        UserError: if the variable has another value.
    """
    name = os.environ.get("IFMMIN_PRECISION", "") or "float32"
    if name not in PRECISIONS:
        raise UserError(f"IFMMIN_PRECISION is {name!r}; expected one of {', '.join(PRECISIONS)}.")
    return name


def arithmetic(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Context manager that sets the precision of networks: autocast for bf16, otherwise no effect."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def device_name(device: torch.device) -> str:
    """Model name of a GPU; empty for a CPU, whose model `entry.processor` records."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""


def has_bf16() -> bool:
    """Whether this processor can run an LSTM in bf16; some lack the instructions."""
    try:
        with torch.no_grad(), arithmetic(torch.device("cpu"), "bf16"):
            torch.nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


def choose() -> tuple[torch.device, str]:
    """The device and the precision that the environment selects.

    Raises:
        UserError: if the device or the precision is not available.
    """
    chosen, name = device(), precision()
    if name == "tf32" and chosen.type != "cuda":
        raise UserError(
            f"IFMMIN_PRECISION is 'tf32', which requires an NVIDIA GPU, but the device is {chosen.type}. "
            "Set it to float32 or bf16, or IFMMIN_DEVICE to a GPU."
        )
    if name == "bf16" and chosen.type == "cpu" and not has_bf16():
        raise UserError(
            "IFMMIN_PRECISION is 'bf16', for which this processor has no instructions. "
            "Set it to float32, or IFMMIN_DEVICE to a GPU."
        )
    return chosen, name


def configure(threads: int) -> tuple[torch.device, dict[str, Any]]:
    """Set device, precision and number of threads of this process.

    Args:
        threads: number of CPU threads.

    Returns:
        The device, and the fields recorded with every result: device type, precision, threads.

    Raises:
        UserError: as in choose.
    """
    chosen, name = choose()
    # Set both explicitly: their defaults differ.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    torch.set_num_threads(threads)
    return chosen, {"device": chosen.type, "precision": name, "threads": threads}
