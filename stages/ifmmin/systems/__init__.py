"""Room of table rows: one file per row of Table 1, loaded by name.

A system file exposes PRETRAINING, the kind of encoders it starts from, and build(*, encoders, n_classes,
<hyperparameters>), whose keyword arguments are the parameters it reads. What build returns is an
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
    encoders: Mapping[str, Any],
    n_classes: int,
    build: Mapping[str, Any],
    pretrained: Mapping[str, Tensor] | None = None,
) -> System:
    """Build a system around encoders.

    Args:
        name: of the system.
        encoders: arguments that rebuild its encoders.
        n_classes: number of emotions.
        build: the parameters that the system reads.
        pretrained: weights of the encoders; None where the system's own weights follow.

    Returns:
        The network, on the CPU.
    """
    start = Encoders(**encoders)
    if pretrained is not None:
        start.load_state_dict(pretrained)
    system: System = load("systems", name).build(encoders=start, n_classes=n_classes, **build)
    return system
