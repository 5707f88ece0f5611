"""Import a system or pretraining module by name.

There is no registry of systems: a new file in ifmmin/systems is enough to add one.
"""

import importlib
from types import ModuleType

from ifmmin.core.errors import UserError


def load(package: str, name: str) -> ModuleType:
    """Import a module from a subpackage of ifmmin.

    Args:
        package: name of the subpackage, systems or pretraining.
        name: file name without suffix.

    Raises:
        UserError: if the module does not exist.
    """
    path = f"ifmmin.{package}.{name}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        raise UserError(
            f"{name!r} has no file; expected ifmmin/{package}/{name}.py. Check the name in params.yaml."
        ) from error
