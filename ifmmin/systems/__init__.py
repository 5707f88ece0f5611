"""Systems of Table 1 and the references printed below them: one file for each system, loaded by name.

A system file defines PRETRAINING, the kind of pretraining whose encoders the system starts from, and
build(*, encoders, n_classes, <hyperparameters>), which returns an ifmmin.nn.protocol.System. The keyword
arguments of build are the parameters that the system reads. If PRETRAINING is None, build takes sizes (the
feature size of each modality) instead of encoders.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from ifmmin.core.errors import UserError, one_line
from ifmmin.core.loading import load
from ifmmin.nn.encoders import Encoders
from ifmmin.nn.protocol import System

FAULTS = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
"""Errors raised when a system is built from settings that do not fit it."""


def pretraining(name: str) -> str | None:
    """Return the kind of pretraining that a system starts from; None: no pretraining."""
    kind: str | None = load("systems", name).PRETRAINING
    return kind


def build(
    name: str,
    *,
    start: Mapping[str, Any],
    build: Mapping[str, Any],
    pretrained: Mapping[str, Tensor] | None = None,
) -> System:
    """Build a system.

    Args:
        name: name of the system.
        start: n_classes, and either encoders (the arguments of Encoders) or sizes.
        build: the parameters that the system reads.
        pretrained: weights of the encoders; None: keep the initial ones, for instance if the system's weights
            are loaded next.

    Returns:
        The network, on the CPU.
    """
    arguments = dict(start)
    if "encoders" in start:
        arguments["encoders"] = Encoders(**start["encoders"])
        if pretrained is not None:
            arguments["encoders"].load_state_dict(pretrained)
    system: System = load("systems", name).build(**arguments, **build)
    return system


def restore(name: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> System:
    """Rebuild a trained system from the contents of its file (training/weights).

    Args:
        name: name of the file, for error messages.
        tensors: weights of the system.
        header: system, start and build. Untrusted input: it may not request more weights than `tensors` has.

    Raises:
        UserError: if weights and header do not belong to one system.
    """
    remaining = sum(tensor.numel() for tensor in tensors.values())

    def count(module: nn.Module, parameter_name: str, parameter: nn.Parameter | None) -> None:
        nonlocal remaining
        remaining -= 0 if parameter is None else parameter.numel()
        if remaining < 0:
            raise ValueError(f"its settings ask for more weights than it has, in {parameter_name}")

    hook = register_module_parameter_registration_hook(count)  # runs before memory is allocated
    try:
        system = build(header["system"], start=header["start"], build=header["build"])
        system.load_state_dict(tensors)
    except FAULTS as error:
        raise UserError(
            f"{name}: is not a usable model ({one_line(error)}); expected a file written by train. Rerun "
            "train."
        ) from error
    finally:
        hook.remove()
    return system
