"""Read and validate params.yaml.

params.yaml holds every value once, with its source; the schema defines the allowed keys, types and ranges. A
stage gets only the keys it names, which must equal its `params` in dvc.yaml (a test compares them): DVC does
not rerun a stage for a key that dvc.yaml does not list.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent

from ifmmin.core.errors import UserError
from ifmmin.settings.schema import SCRATCH, Entry, Params, keys


class ParamsError(UserError):
    """params.yaml or a preset is invalid. The message has one line per error."""


LARGEST = 1 << 18
"""Maximum size of params.yaml in bytes; parsing takes about 1000 bytes of memory per byte."""

UNREADABLE = (
    *(YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
)
"""Exceptions that ruamel raises for invalid YAML or for a value that does not fit its tag."""

EXPECTED = {
    "greater_than_equal": "expected at least {ge}",
    "greater_than": "expected more than {gt}",
    "less_than_equal": "expected at most {le}",
    "less_than": "expected less than {lt}",
    "finite_number": "expected a finite number",
    "too_short": "expected at least {min_length} items",
    "too_long": "expected at most {max_length} items",
    "literal_error": "expected {expected}",
    "string_pattern_mismatch": "expected text that matches {pattern}",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "list_type": "expected a list",
    "dict_type": "expected a group of keys",
    "model_type": "expected a group of keys",
    "value_error": "{error}",
}
"""Pydantic's error types and our messages; pydantic provides the values in braces."""


class _Composer(Composer):
    """Rejects aliases, since nested aliases can expand a small file to gigabytes ("billion laughs")."""

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - ruamel's
        if self.parser.check_event(AliasEvent):
            raise ComposerError(None, None, "an alias (*); expected each value written out")
        return super().compose_node(parent, index)


def loader(kind: str = "safe") -> YAML:
    """A YAML 1.2 parser that rejects aliases. In YAML 1.2, 1e-4 is a number; PyYAML reads it as text.

    Args:
        kind: "safe" for plain values, "rt" (round trip) to keep comments.
    """
    yaml = YAML(typ=kind, pure=True)
    yaml.Composer = _Composer
    return yaml


def _message(error: Mapping[str, Any], path: Path, group: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{path}, key {key}: is missing; expected a value. Restore it from git."
    if error["type"] == "extra_forbidden":
        return f"{path}, key {key}: is not a known key; {_suggestion(error['loc'], group)}"
    expected = EXPECTED.get(error["type"], error["msg"]).format_map(error.get("ctx", {}))
    return f"{path}, key {key} is {error['input']!r}; {expected}."


def _suggestion(loc: Sequence[str | int], group: type[BaseModel]) -> str:
    """Suggest the most similar key of the same group, or the same key of another group."""
    *above, key = (str(part) for part in loc)
    known = keys(group)
    siblings = [k.rpartition(".")[2] for k in known if k.split(".")[:-1] == above]
    elsewhere = [k for k in known if k.rpartition(".")[2] == key]
    if elsewhere and not difflib.get_close_matches(key, siblings):
        return f"did you mean {' or '.join(elsewhere)}?"
    return _closest(key, siblings)


def _closest(key: str, known: Sequence[str]) -> str:
    matches = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {matches[0]}?" if matches else f"expected one of {', '.join(known)}."


def _system_errors(params: Params, path: Path) -> list[str]:
    names = [name for kind in params.systems.values() for name in kind]
    errors = [
        f"{path}, key rows: system {row!r} is not defined under systems; {_closest(row, names)}"
        for row in params.rows
        if row not in names
    ]
    errors += [
        f"{path}, key systems: {name!r} is defined in two groups; expected exactly one kind of "
        "pretraining. Remove it from the other."
        for name in _repeated(names)
    ]
    errors += [
        f"{path}, key systems.{kind}: not a kind of pretraining; expected one of "
        f"{', '.join((*params.pretrainings, SCRATCH))}."
        for kind in params.systems
        if kind not in (*params.pretrainings, SCRATCH)
    ]
    comparison = params.comparison
    compared = [comparison.proposed, *comparison.baselines, *comparison.ablations]
    errors += [
        f"{path}, key comparison: system {name!r} is listed twice; expected it in only one of proposed, "
        "baselines and ablations. Remove it from the other."
        for name in _repeated(compared)
    ]
    errors += [
        f"{path}, key comparison: system {name!r} is not defined under systems; {_closest(name, names)}"
        for name in compared
        if name not in names
    ]
    return errors


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def read(path: Path, *keys: str, shown: Path | None = None) -> dict[str, Any]:
    """Read params.yaml, validate all of it, and return the requested keys.

    Args:
        path: the file.
        keys: top-level keys, or nested keys with a dot, as listed under `params` of the stage in dvc.yaml.
        shown: file name to show in errors instead of `path`.

    Returns:
        Key to value; groups are plain dicts.

    Raises:
        ParamsError: if the file is invalid; one line per error.
    """
    name = shown or path
    if path.stat().st_size > LARGEST:
        raise ParamsError(f"{name}: has {path.stat().st_size} bytes; expected at most {LARGEST}.")
    try:
        content = loader().load(path.read_text("utf-8"))
    except UNREADABLE as error:
        raise ParamsError(f"{name}: not readable as YAML; {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise ParamsError(
            f"{name}: holds no keys; expected {', '.join(Params.model_fields)}. Restore it from git."
        )
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(
            "\n".join(_message(dict(detail), name, Params) for detail in error.errors())
        ) from error
    errors = _system_errors(params, name)
    if errors:
        raise ParamsError("\n".join(errors))
    values = params.model_dump()
    return {key: _value(values, key) for key in keys}


def _value(values: Any, key: str) -> Any:  # noqa: ANN401 - a value of any type
    for part in key.split("."):
        values = values[part]
    return values


def resolve(
    entry: Mapping[str, Any],
    *,
    accepts: Collection[str],
    shared: Mapping[str, Any],
    model: Mapping[str, Any],
    fit: Mapping[str, Any],
    where: str,
) -> dict[str, dict[str, Any]]:
    """Resolve the settings of one system: the arguments of its build function and its optimisation settings.

    A value in the system's entry takes precedence over the values shared by several systems.

    Args:
        entry: the system's entry in params.yaml.
        accepts: keyword arguments of the system's build function.
        shared: top-level values available to all systems (lambda1, lambda2, K, M).
        model: the group model of params.yaml.
        fit: the group train or pretrain of params.yaml.
        where: name of the entry in error messages.

    Returns:
        {"build": keyword arguments of build, "fit": optimisation settings}.

    Raises:
        ParamsError: if the entry has an unused key or a value out of range, or if a value that build requires
            is missing.
    """
    errors = [
        f"{where}: key {key!r} is not used; {_closest(key, sorted({*accepts, *fit}))}"
        for key in entry
        if key not in accepts and key not in fit
    ]
    try:
        overrides = Entry.model_validate(dict(entry)).model_dump(include=set(entry))
    except ValidationError as error:
        errors += [_message(dict(detail), Path(where), Entry) for detail in error.errors()]
        overrides = dict(entry)
    values = {**shared, **model, **fit, **overrides}
    errors += [
        f"{where}: key {key!r} is missing; expected a value. Add it to the entry or to the group model."
        for key in accepts
        if key not in values
    ]
    if errors:
        raise ParamsError("\n".join(errors))
    return {"build": {key: values[key] for key in accepts}, "fit": {key: values[key] for key in fit}}
