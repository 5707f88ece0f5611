"""Presets: files whose values replace those in params.yaml."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from ifmmin.core.errors import one_line
from ifmmin.core.files import atomic_write
from ifmmin.settings.params import UNREADABLE, ParamsError, loader, read


def apply(params: Path, preset: Path) -> tuple[int, list[str]]:
    """Write the values of a preset into params.yaml. Comments, order and all other values are kept.

    Args:
        params: path of params.yaml.
        preset: path of the preset.

    Returns:
        The number of changed values, and the keys that the preset does not set; scalar keys with their value.

    Raises:
        ParamsError: if the preset is not a mapping, has a key that params.yaml lacks, or has an invalid
            value. params.yaml is then unchanged.
    """
    yaml = loader("rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    content, values = _read(params, yaml, "Restore it from git."), _read(preset, yaml)
    before = dict(flat(content))
    _assign(content, values, preset, "")
    changed = sum(before[key] != value for key, value in flat(content))
    text = io.StringIO()
    yaml.dump(content, text)
    with atomic_write(params) as temporary:
        temporary.write_text(text.getvalue(), "utf-8")
        read(temporary, shown=preset)
    return changed, _unset(content, values)


def _unset(content: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """List what a preset does not set: top-level keys, and the other keys of groups that it sets in part."""
    whole_keys = [
        f"{key} ({value})" if _shape(value) == "value" else key
        for key, value in content.items()
        if key not in values
    ]
    groups = [key for key, value in values.items() if isinstance(value, Mapping)]
    return [*whole_keys, *(f"other keys of {key}" for key in groups)]


def _read(path: Path, yaml: YAML, remedy: str = "Correct the preset.") -> Mapping[str, Any]:
    try:
        values = yaml.load(path.read_text("utf-8")) or {}
    except UNREADABLE as error:
        raise ParamsError(f"{path}: not readable as YAML; {one_line(error)}. {remedy}") from error
    if not isinstance(values, Mapping):
        raise ParamsError(f"{path}: is a {_shape(values)}; expected a group of keys. {remedy}")
    return values


def describe(settings: Mapping[str, Any], folder: Path) -> str:
    """Name the preset that params.yaml matches, or the closest preset and the keys that differ.

    Args:
        settings: values of params.yaml, at least of all keys that presets set.
        folder: folder of the presets.

    Returns:
        For example "paper", or "demonstration, except for folds, train.lr"; "none" without presets. The
        closest preset has the smallest fraction of keys that differ.

    Raises:
        ParamsError: if a preset is not a mapping.
    """
    current, differing = dict(flat(settings)), {}
    for path in sorted(folder.glob("*.yaml")):
        preset = dict(flat(_read(path, loader())))
        keys = [key for key, value in preset.items() if current.get(key) != value]
        if preset:
            differing[len(keys) / len(preset), path.stem] = keys
    if not differing:
        return "none"
    (_, name), keys = min(differing.items())
    return f"{name}, except for {', '.join(keys)}" if keys else name


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of each nested setting. An empty group counts as a value."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _assign(content: Any, values: Mapping[str, Any], preset: Path, prefix: str) -> None:  # noqa: ANN401 - YAML
    for key, value in values.items():
        if key not in content:
            raise ParamsError(
                f"{preset}: key {prefix}{key} is not in params.yaml; expected an existing key. Correct "
                "the preset."
            )
        old = content[key]
        if _shape(old) != _shape(value):
            raise ParamsError(
                f"{preset}: key {prefix}{key} is a {_shape(value)}; expected a {_shape(old)}, as in "
                "params.yaml. Correct the preset."
            )
        if isinstance(value, Mapping):
            _assign(old, value, preset, f"{prefix}{key}.")
        elif isinstance(value, CommentedSeq):
            # ruamel attaches the comment above the next key to the last item of this list.
            comment = old.ca.items.pop(len(old) - 1, None)
            old[:] = list(value)
            if comment:
                old.ca.items[len(old) - 1] = comment
        else:
            content[key] = value


def _shape(node: Any) -> str:  # noqa: ANN401 - YAML
    if isinstance(node, Mapping):
        return "group"
    return "list" if isinstance(node, list) else "value"
