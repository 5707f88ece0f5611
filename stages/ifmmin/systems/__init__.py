"""Room of table rows: one file per row of Table 1, loaded by name.

A system file exposes PRETRAINING, the kind of encoders it starts from, and build(*, encoders, n_classes,
<hyperparameters>), whose keyword arguments are the parameters it reads. If PRETRAINING is None, build takes
sizes, the feature size of each modality, in place of encoders. What build returns is an
ifmmin.nn.systems.System.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ifmmin.loading import load
from ifmmin.nn.encoders import Encoders
from ifmmin.nn.systems import System


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


def restore(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> System:
    """Build a trained system from what its file holds (artifacts/weights).

    Raises:
        KeyError, TypeError, ValueError, RuntimeError: if header and tensors are not those of one system.
    """
    system = build(header["system"], start=header["start"], build=header["build"])
    system.load_state_dict(tensors)
    return system
