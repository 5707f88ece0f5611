"""Room of pretrainings: one file per kind of encoders that a system may start from, loaded by name.

A file exposes build(*, sizes, n_classes, <hyperparameters>), whose keyword arguments are the parameters it
reads. What it returns is an ifmmin.nn.systems.System with two attributes more: encoders, the part that is
kept, and encoder_settings, which rebuild it.
"""

import importlib
from types import ModuleType

from ifmmin.errors import UserError


def load(name: str) -> ModuleType:
    """Load the file of a kind of pretraining.

    Raises:
        UserError: if there is none of that name.
    """
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise UserError(
            f"kind of pretraining {name!r} has no file; expected stages/ifmmin/pretrainings/{name}.py. "
            "Check pretrainings in params.yaml."
        ) from error
