"""Room of pretrainings: one file per kind of encoders that a system may start from, loaded by name.

A file exposes build(*, sizes, n_classes, <hyperparameters>), whose keyword arguments are the parameters it
reads. What it returns is an ifmmin.nn.systems.System with two attributes more: encoders, the part that is
kept, and encoder_settings, which rebuild it.
"""

import importlib
from types import ModuleType


def load(name: str) -> ModuleType:
    """Load the file of a kind of pretraining.

    Raises:
        ModuleNotFoundError: if there is none of that name.
    """
    return importlib.import_module(f"{__name__}.{name}")
