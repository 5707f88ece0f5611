"""Room of table rows: one file per row of Table 1, loaded by name.

A system file exposes PRETRAINING, the kind of encoders it starts from, and build(*, encoders, n_classes,
<hyperparameters>), whose keyword arguments are the parameters it reads. If PRETRAINING is None, build takes
sizes, the feature size of each modality, in place of encoders. What build returns is an
ifmmin.nn.systems.System.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from ifmmin.errors import UserError, one_line
from ifmmin.loading import load
from ifmmin.nn.encoders import Encoders
from ifmmin.nn.systems import System

FAULTS = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
"""What building a system from the settings of another, or of none, ends in."""


def pretraining(name: str) -> str | None:
    """The kind of encoders that a system starts from; None where it starts from nothing."""
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
        name: of the system.
        start: n_classes, and encoders (the arguments that rebuild them) or sizes.
        build: the parameters that the system reads.
        pretrained: weights of the encoders; None where there are none, or the system's own weights follow.

    Returns:
        The network, on the CPU.
    """
    given = dict(start)
    if "encoders" in start:
        given["encoders"] = Encoders(**start["encoders"])
        if pretrained is not None:
            given["encoders"].load_state_dict(pretrained)
    system: System = load("systems", name).build(**given, **build)
    return system


def restore(name: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> System:
    """Build a trained system from what its file holds (artifacts/weights).

    Args:
        name: of the file, for the user.
        tensors: its weights.
        header: system, start and build, which are believed in nothing that the weights do not bear out.

    Raises:
        UserError: if they are not those of one system.
    """
    left = sum(tensor.numel() for tensor in tensors.values())

    def count(module: nn.Module, part: str, parameter: nn.Parameter | None) -> None:
        nonlocal left
        left -= 0 if parameter is None else parameter.numel()
        if left < 0:
            raise ValueError(f"its settings ask for more weights than it has, in {part}")

    watch = register_module_parameter_registration_hook(count)  # before the parameter takes memory
    try:
        system = build(header["system"], start=header["start"], build=header["build"])
        system.load_state_dict(tensors)
    except FAULTS as error:
        raise UserError(
            f"{name}: is no model that can be used ({one_line(error)}). Expected what train writes; rerun it."
        ) from error
    finally:
        watch.remove()
    return system
