"""Room of table rows: one file per row of Table 1, loaded by name.

A system file exposes PRETRAINING, the kind of encoders it starts from (None: from scratch), and build(*,
encoders, n_classes, <hyperparameters>), whose keyword arguments are the parameters it reads. What build
returns is an ifmmin.nn.systems.System.
"""

import importlib
from types import ModuleType


def load(name: str) -> ModuleType:
    """Load the file of a system.

    Raises:
        ModuleNotFoundError: if there is none of that name.
    """
    return importlib.import_module(f"{__name__}.{name}")
