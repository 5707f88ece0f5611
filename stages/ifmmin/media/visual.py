"""What makes visual frames is a plug-in: the network of the paper, Denseface, is not to be had."""

import importlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ifmmin.errors import UserError
from ifmmin.media.expressions import MiniXception
from ifmmin.media.video import Video

BUILT_IN = {"mini_xception": MiniXception}


class Visual(Protocol):
    """A plug-in.

    Attributes:
        name: what it is, so that frames of two plug-ins, or of two sets of weights, are told apart.
        size: D_v, columns of a frame.
    """

    name: str
    size: int

    def frames(self, video: Video) -> NDArray[np.float32] | None:
        """Look at a video, through `video.images(per_second)`.

        Returns:
            [T, D_v] float32, or None where it finds nothing, for instance no face.
        """
        ...


def chosen(name: str) -> Visual:
    """Make the plug-in that is called so.

    Args:
        name: a built-in one, or "module:factory": what is called without arguments and gives a plug-in. The
            module is imported as Python does, so it runs with the user's rights.

    Raises:
        UserError: if there is none.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
    module, _, factory = name.partition(":")
    expected = f"expected {', '.join(BUILT_IN)}, or module:factory of a module that Python finds"
    if not (module and factory):
        raise UserError(f"--visual {name!r} is not known; {expected}.")
    try:
        made: Visual = getattr(importlib.import_module(module), factory)()
    except (ModuleNotFoundError, AttributeError) as error:
        raise UserError(f"--visual {name!r} cannot be made ({error}); {expected}.") from error
    return made
