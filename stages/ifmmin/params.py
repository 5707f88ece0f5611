"""Reading params.yaml.

params.yaml states every value once, with its source; the schema states what is allowed. Stages name the keys
they read (the same names as in dvc.yaml, a test compares them) and are handed nothing else, since DVC cannot
see a read that it was not told of.
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

from ifmmin.errors import UserError
from ifmmin.schema import SCRATCH, Entry, Params, keys


class ParamsError(UserError):
    """params.yaml holds a value that the pipeline cannot use. One line for each fault."""


LARGEST = 1 << 18
"""Bytes of a params.yaml: reading takes a thousand of memory for each."""

UNREADABLE = (
    *(YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
)
"""What ruamel raises for a text that is no YAML, or for a value that does not fit its tag."""

EXPECTED = {
    "greater_than_equal": "expected at least {ge}",
    "greater_than": "expected more than {gt}",
    "less_than_equal": "expected at most {le}",
    "less_than": "expected less than {lt}",
    "finite_number": "expected a finite number",
    "too_short": "expected at least {min_length} items",
    "too_long": "expected at most {max_length} items",
    "literal_error": "expected {expected}",
    "string_pattern_mismatch": "expected a text that matches {pattern}",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "string_type": "expected a text",
    "list_type": "expected a list",
    "dict_type": "expected a group of keys",
    "model_type": "expected a group of keys",
    "value_error": "{error}",
}
"""What a fault of pydantic's is called here; the braces are its own facts."""


class _Composer(Composer):
    """Refuses aliases: ten of ten of ten soon are a billion."""

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - ruamel's
        if self.parser.check_event(AliasEvent):
            raise ComposerError(None, None, "an alias (*); expected each value written out")
        return super().compose_node(parent, index)


def loader(kind: str = "safe") -> YAML:
    """Make a reader of YAML 1.2, in which 1e-4 is a number (to PyYAML it is a text), without aliases.

    Args:
        kind: safe, which gives plain values, or rt, which keeps the comments.
    """
    yaml = YAML(typ=kind, pure=True)
    yaml.Composer = _Composer
    return yaml


def _sentence(fault: Mapping[str, Any], path: Path, within: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{path}, key {key}: is missing. Add it; git has its value."
    if fault["type"] == "extra_forbidden":
        return f"{path}, key {key}: is not a known key; {_meant(fault['loc'], within)}"
    expected = EXPECTED.get(fault["type"], fault["msg"]).format_map(fault.get("ctx", {}))
    return f"{path}, key {key} is {fault['input']!r}; {expected}."


def _meant(loc: Sequence[str | int], within: type[BaseModel]) -> str:
    """Suggest the nearest key of the same group, else the same key of another group."""
    *above, key = (str(part) for part in loc)
    known = keys(within)
    siblings = [k.rpartition(".")[2] for k in known if k.split(".")[:-1] == above]
    elsewhere = [k for k in known if k.rpartition(".")[2] == key]
    if elsewhere and not difflib.get_close_matches(key, siblings):
        return f"did you mean {' or '.join(elsewhere)}?"
    return _near(key, siblings)


def _near(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}."


def _row_faults(params: Params, path: Path) -> list[str]:
    names = [name for kind in params.systems.values() for name in kind]
    faults = [
        f"{path}, key rows: system {row!r} is under no group of systems; {_near(row, names)}"
        for row in params.rows
        if row not in names
    ]
    faults += [
        f"{path}, key systems: {name!r} stands in two groups; a system starts from one kind of encoders."
        for name in sorted({n for n in names if names.count(n) > 1})
    ]
    faults += [
        f"{path}, key systems.{kind}: no entry of pretrainings has that name; expected one of "
        f"{', '.join((*params.pretrainings, SCRATCH))}."
        for kind in params.systems
        if kind not in (*params.pretrainings, SCRATCH)
    ]
    compared = params.comparison
    parts = [compared.proposed, *compared.baselines, *compared.ablations]
    faults += [
        f"{path}, key comparison: {name!r} has two parts; expected proposed, baselines or ablations."
        for name in sorted({n for n in parts if parts.count(n) > 1})
    ]
    faults += [
        f"{path}, key comparison: system {name!r} is under no group of systems; {_near(name, names)}"
        for name in parts
        if name not in names
    ]
    return faults


def read(path: Path, *keys: str, shown: Path | None = None) -> dict[str, Any]:
    """Read params.yaml, check the whole of it, and hand out the keys asked for.

    Args:
        path: the file.
        keys: top-level keys, or one level deeper with a dot, as they stand under `params:` of the stage in
            dvc.yaml.
        shown: how to name the file in an error, where not by its path.

    Returns:
        Key to value; groups are plain dicts.

    Raises:
        ParamsError: with one line for each fault of the file.
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
            "\n".join(_sentence(dict(fault), name, Params) for fault in error.errors())
        ) from error
    faults = _row_faults(params, name)
    if faults:
        raise ParamsError("\n".join(faults))
    values = params.model_dump()
    return {key: _inside(values, key) for key in keys}


def _inside(values: Any, key: str) -> Any:  # noqa: ANN401 - a value of any type
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
    """Settle the settings of one system: what its build reads, and how it is optimised.

    A value comes from the system's own entry or, where that is silent, from the rest of params.yaml.

    Args:
        entry: the system's lines in params.yaml.
        accepts: the keyword arguments that the system's build asks for.
        shared: top-level values that any system may read (lambda1, lambda2, K, M).
        model: the group model.
        fit: the group of the optimisation, train or pretrain.
        where: how to name the entry in an error.

    Returns:
        {"build": ..., "fit": ...}.

    Raises:
        ParamsError: if the entry has a key that nothing reads or a value out of range, or if build needs a
            value that nobody states.
    """
    faults = [
        f"{where}: key {key!r} is read by nothing; {_near(key, sorted({*accepts, *fit}))}"
        for key in entry
        if key not in accepts and key not in fit
    ]
    try:
        own = Entry.model_validate(dict(entry)).model_dump(include=set(entry))
    except ValidationError as error:
        faults += [_sentence(dict(fault), Path(where), Entry) for fault in error.errors()]
        own = dict(entry)
    values = {**shared, **model, **fit, **own}
    faults += [
        f"{where}: {key!r} is stated nowhere; add it to the entry or to the group model."
        for key in accepts
        if key not in values
    ]
    if faults:
        raise ParamsError("\n".join(faults))
    return {"build": {key: values[key] for key in accepts}, "fit": {key: values[key] for key in fit}}
