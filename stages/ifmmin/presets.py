"""Overlays on params.yaml."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from ifmmin.errors import one_line
from ifmmin.files import whole
from ifmmin.params import UNREADABLE, ParamsError, loader, read


def apply(params: Path, overlay: Path) -> tuple[int, list[str]]:
    """Set the overlay's values in params.yaml; comments, order and every other value stay.

    Returns:
        How many values changed, and the keys that the overlay does not name, those of one value with it.

    Raises:
        ParamsError: if the overlay is no group of keys that params.yaml has, or gives values that it cannot
            have; params.yaml then stays as it was.
    """
    yaml = loader("rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    content, values = _read(params, yaml, "Restore it from git."), _read(overlay, yaml)
    before = dict(flat(content))
    _lay(content, values, overlay, "")
    changed = sum(before[key] != value for key, value in flat(content))
    text = io.StringIO()
    yaml.dump(content, text)
    with whole(params) as temporary:
        temporary.write_text(text.getvalue(), "utf-8")
        read(temporary, shown=overlay)
    return changed, _untouched(content, values)


def _untouched(content: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Name what an overlay leaves alone: whole keys, and the other keys of the groups that it enters."""
    whole_keys = [
        f"{key} ({value})" if _shape(value) == "value" else key
        for key, value in content.items()
        if key not in values
    ]
    groups = [key for key, value in values.items() if isinstance(value, Mapping)]
    return [*whole_keys, *(f"other keys of {key}" for key in groups)]


def _read(overlay: Path, yaml: YAML, remedy: str = "Mend the preset.") -> Mapping[str, Any]:
    try:
        values = yaml.load(overlay.read_text("utf-8")) or {}
    except UNREADABLE as error:
        raise ParamsError(f"{overlay}: not readable as YAML; {one_line(error)}. {remedy}") from error
    if not isinstance(values, Mapping):
        raise ParamsError(f"{overlay}: is a {_shape(values)}; expected a group of keys. {remedy}")
    return values


def described(settings: Mapping[str, Any], folder: Path) -> str:
    """Name the preset that params.yaml is in the keys that presets set, or the nearest and where it differs.

    Args:
        settings: the keys of params.yaml that presets set, at least.
        folder: the presets.

    Returns:
        "paper", or "demonstration, but for folds, train.lr"; nearest is the one that the largest share of its
        keys agrees with.

    Raises:
        ParamsError: if a preset is no group of keys.
    """
    own, differing = dict(flat(settings)), {}
    for path in sorted(folder.glob("*.yaml")):
        overlay = dict(flat(_read(path, loader())))
        keys = [key for key, value in overlay.items() if own.get(key) != value]
        if overlay:
            differing[len(keys) / len(overlay), path.stem] = keys
    if not differing:
        return "none"
    (_, name), keys = min(differing.items())
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
