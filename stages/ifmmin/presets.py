"""Overlays on params.yaml."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.error import YAMLError

from ifmmin.errors import one_line
from ifmmin.files import whole
from ifmmin.params import ParamsError, read


def apply(params: Path, overlay: Path) -> None:
    """Set the overlay's values in params.yaml; comments, order and every other value stay.

    Raises:
        ParamsError: if the overlay is no group of keys that params.yaml has, or gives values that it cannot
            have; params.yaml then stays as it was.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    content = yaml.load(params.read_text("utf-8"))
    try:
        values = yaml.load(overlay.read_text("utf-8")) or {}
    except YAMLError as error:
        raise ParamsError(f"{overlay}: not readable as YAML; {one_line(error)}. Mend the preset.") from error
    if not isinstance(values, Mapping):
        raise ParamsError(f"{overlay}: is a {_shape(values)}; expected a group of keys. Mend the preset.")
    _lay(content, values, overlay, "")
    text = io.StringIO()
    yaml.dump(content, text)
    with whole(params) as temporary:
        temporary.write_text(text.getvalue(), "utf-8")
        read(temporary, shown=overlay)


def described(settings: Mapping[str, Any], folder: Path) -> str:
    """Name the preset that params.yaml is, or the nearest with the keys in which it differs.

    Args:
        settings: the keys of params.yaml that presets set, at least.
        folder: the presets.

    Returns:
        "paper", or "demonstration, but for folds, train.lr".
    """
    own, differing = dict(flat(settings)), {}
    for path in sorted(folder.glob("*.yaml")):
        overlay = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
        differing[path.stem] = [key for key, value in flat(overlay) if own.get(key) != value]
    name, keys = min(differing.items(), key=lambda item: len(item[1]))
    return f"{name}, but for {', '.join(keys)}" if keys else name


def flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Walk nested settings: dotted key and value; an empty group is a value."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _lay(content: Any, values: Mapping[str, Any], overlay: Path, above: str) -> None:  # noqa: ANN401 - YAML
    for key, value in values.items():
        if key not in content:
            raise ParamsError(
                f"{overlay}: key {above}{key} is not in params.yaml; expected keys that are. Mend the preset."
            )
        old = content[key]
        if _shape(old) != _shape(value):
            raise ParamsError(
                f"{overlay}: key {above}{key} is a {_shape(value)}; in params.yaml it is a {_shape(old)}. "
                "Mend the preset."
            )
        if isinstance(value, Mapping):
            _lay(old, value, overlay, f"{above}{key}.")
        elif isinstance(value, CommentedSeq):
            # The comment above the next key hangs on the last item.
            below = old.ca.items.pop(len(old) - 1, None)
            old[:] = list(value)
            if below:
                old.ca.items[len(old) - 1] = below
        else:
            content[key] = value


def _shape(node: Any) -> str:  # noqa: ANN401 - YAML
    if isinstance(node, Mapping):
        return "group"
    return "list" if isinstance(node, list) else "value"
