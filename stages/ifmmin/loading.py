"""Loading a file of a room by its name: there is no list of systems, so adding one edits none."""

import importlib
from types import ModuleType

from ifmmin.errors import UserError


def load(room: str, name: str) -> ModuleType:
    """Load the module of that name from a room.

    Args:
        room: systems or pretrainings.
        name: of the file, without its ending.

    Raises:
        UserError: if there is none.
    """
    path = f"ifmmin.{room}.{name}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        raise UserError(
            f"{name!r} has no file; expected stages/ifmmin/{room}/{name}.py. Check {room} in params.yaml."
        ) from error
