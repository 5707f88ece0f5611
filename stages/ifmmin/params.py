"""The schema of params.yaml, and reading it.

params.yaml states every value once, with its source; this module states what is allowed. Neither has the
other's part: no default stands here. Stages name the keys they read (the same names as in dvc.yaml, a test
compares them) and are handed nothing else, since DVC cannot see a read that it was not told of.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ifmmin.errors import UserError


class ParamsError(UserError):
    """params.yaml holds a value that the pipeline cannot use. One line for each fault."""


def _distinct(values: list[Any]) -> list[Any]:
    repeated = sorted({v for v in values if values.count(v) > 1})
    if repeated:
        raise ValueError(f"{repeated[0]!r} is listed twice")
    return values


def _rising(values: list[int]) -> list[int]:
    if values[0] > values[1]:
        raise ValueError(f"the shortest, {values[0]}, is above the longest, {values[1]}")
    return values


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Group(BaseModel):
    """A part of params.yaml: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PerModality(Group):
    """One count for each modality."""

    a: Positive
    v: Positive
    t: Positive


class Strengths(Group):
    """One strength for each modality."""

    a: Weight
    v: Weight
    t: Weight


Range = Annotated[list[Positive], Field(min_length=2, max_length=2), AfterValidator(_rising)]


class Lengths(Group):
    """Shortest and longest sequence of each modality, in frames."""

    a: Range
    v: Range
    t: Range


class Synthesize(Group):
    """Size and difficulty of the embedded corpus."""

    seed: Seed
    utterances_per_speaker: Annotated[int, Field(ge=8)]
    sizes: PerModality
    frames: Lengths
    signal: Strengths
    noise: Weight


class Split(Group):
    """Where the folds come from."""

    folds_from: Literal["rule", "pack", "auto"]


class Model(Group):
    """Settings of the networks that several systems share."""

    hidden: Positive
    kernel_heights: Annotated[list[Positive], Field(min_length=1), AfterValidator(_distinct)]
    filters: Positive
    text_dropout: Share
    missing_steps: PerModality
    invariance_depth: Positive
    invariance_activation: Literal["leaky_relu", "tanh", "sigmoid"]
    invariance_dropout: Share
    autoencoder: Annotated[list[Positive], Field(min_length=1)]
    cascade: Literal["every", "first", "if22", "residual"]
    residual_output: bool
    transition: bool
    distance: Literal["rmse", "mse"]
    classifier: Annotated[list[Positive], Field(min_length=1)]
    dropout: Share


class Fit(Group):
    """Settings of an optimisation."""

    epochs_constant: Positive
    epochs_decay: Annotated[int, Field(ge=0)]
    batch: Annotated[int, Field(ge=2)]
    lr: Rate
    beta1: Share
    clip: Rate
    on_collapse: Literal["stop", "warn"]
    threads: Annotated[int, Field(ge=1, le=1024)]


class Figures(Group):
    """What the figures and the confusion matrices show."""

    system: Name
    utterances: Positive
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    perplexity: Rate


class Shared(Group):
    """Values at the top level, where a user overrides them, that any system may read."""

    lambda1: Weight
    lambda2: Weight
    K: Positive
    M: Positive


class Params(Shared):
    """The whole of params.yaml."""

    corpus: Annotated[str, Field(pattern=r"^[^'\n]+$")]
    folds: Annotated[list[Positive], Field(min_length=1), AfterValidator(_distinct)]
    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(_distinct)]
    rows: Annotated[list[Name], Field(min_length=1), AfterValidator(_distinct)]
    synthesize: Synthesize
    split: Split
    pretrainings: dict[Name, dict[str, Any]]
    systems: dict[Name, dict[Name, dict[str, Any]]]
    model: Model
    pretrain: Fit
    train: Fit
    figures: Figures


class Own(Group):
    """Values that only an entry of systems or pretrainings holds."""

    cmd_weight: Weight
    cmd_warmup: Annotated[int, Field(ge=0)]


def _optional(*groups: type[BaseModel]) -> dict[str, Any]:
    """The fields of some groups, each of which may be left out."""
    return {
        name: (Annotated[field.annotation, *field.metadata, Field()], None)
        for group in groups
        for name, field in group.model_fields.items()
    }


Entry = create_model(
    "Entry",
    __config__=ConfigDict(extra="allow", strict=True),
    __doc__="An entry of systems or pretrainings; values known elsewhere are held to the same range.",
    **_optional(Model, Fit, Own, Shared),
)


def _sentence(fault: Mapping[str, Any], path: Path) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    value = "" if fault["type"] in ("missing", "extra_forbidden") else f" is {fault['input']!r}"
    problem = {"missing": "is missing", "extra_forbidden": "is not a known key"}.get(
        fault["type"], fault["msg"]
    )
    return f"{path}, key {key}{value}: {problem}."


def _row_faults(params: Params, path: Path) -> list[str]:
    names = [name for kind in params.systems.values() for name in kind]
    faults = [
        f"{path}, key rows: system {row!r} is under no group of systems; expected one of {', '.join(names)}."
        for row in params.rows
        if row not in names
    ]
    faults += [
        f"{path}, key systems: {name!r} stands in two groups; a system starts from one kind of encoders."
        for name in sorted({n for n in names if names.count(n) > 1})
    ]
    faults += [
        f"{path}, key systems.{kind}: no entry of pretrainings has that name; expected one of "
        f"{', '.join(params.pretrainings)}."
        for kind in params.systems
        if kind not in params.pretrainings
    ]
    if params.figures.system not in params.rows:
        faults.append(
            f"{path}, key figures.system is {params.figures.system!r}; "
            f"expected one of rows: {', '.join(params.rows)}."
        )
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
    try:
        # YAML 1.2, in which 1e-4 is a number; to PyYAML it is a text.
        content = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{name}: not readable as YAML; {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise ParamsError(
            f"{name}: holds no keys; expected {', '.join(Params.model_fields)}. Restore it from git."
        )
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError("\n".join(_sentence(dict(fault), name) for fault in error.errors())) from error
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
        f"{where}: key {key!r} is read by nothing; expected one of {', '.join(sorted({*accepts, *fit}))}."
        for key in entry
        if key not in accepts and key not in fit
    ]
    try:
        own = Entry.model_validate(dict(entry)).model_dump(include=set(entry))
    except ValidationError as error:
        faults += [_sentence(dict(fault), Path(where)) for fault in error.errors()]
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
