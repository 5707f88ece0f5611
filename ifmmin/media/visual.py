"""Visual feature extractors are plug-ins, because the paper's network, Denseface, is not available."""

import importlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ifmmin.core.errors import UserError
from ifmmin.media.expressions import MiniXception
from ifmmin.media.video import Video

BUILT_IN = {"mini_xception": MiniXception}


class Visual(Protocol):
    """A plug-in.

    Attributes:
        name: identifies the plug-in and its weights.
        size: feature size D_v.
    """

    name: str
    size: int

    def frames(self, video: Video) -> NDArray[np.float32] | None:
        """Extract frames from a video, which it reads with `video.images(per_second)`.

        Returns:
            [T, D_v] float32, or None if there is nothing to extract, for instance no face.
        """
        ...


def load_plugin(name: str) -> Visual:
    """Create a plug-in by name.

    Args:
        name: a built-in plug-in, or "module:factory", where factory is called without arguments and returns a
            plug-in. The module is imported, so its code runs with the user's permissions.

    Raises:
        UserError: if the plug-in does not exist or cannot be created.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
    module, _, factory = name.partition(":")
    expected = f"expected {', '.join(BUILT_IN)}, or module:factory of a module that Python finds"
    if not (module and factory):
        raise UserError(f"--visual {name!r} is not known; {expected}.")
    try:
        plugin: Visual = getattr(importlib.import_module(module), factory)()
    except (ModuleNotFoundError, AttributeError) as error:
        raise UserError(f"--visual {name!r} cannot be loaded ({error}); {expected}.") from error
    return plugin
