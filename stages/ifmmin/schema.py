"""What may stand in params.yaml: keys, types and ranges. No value and no default stands here."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model


def _distinct(values: list[Any]) -> list[Any]:
    repeated = sorted({v for v in values if values.count(v) > 1})
    if repeated:
        raise ValueError(f"{repeated[0]!r} is listed twice")
    return values


def _rising(values: list[int]) -> list[int]:
    if values[0] > values[1]:
        raise ValueError(f"the shortest, {values[0]}, is above the longest, {values[1]}")
    return values


SCRATCH = "scratch"
"""The group of systems that start from no encoders."""

Distinct = (AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True}))
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
    kernel_heights: Annotated[list[Positive], Field(min_length=1), *Distinct]
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


class Comparison(Group):
    """Who is compared with whom in Table 1."""

    proposed: Name
    baselines: Annotated[list[Name], *Distinct]
    ablations: Annotated[list[Name], *Distinct]
    on_par: Weight


class Figures(Group):
    """What the figures show."""

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


class Own(Group):
    """Values that only an entry of systems or pretrainings holds."""

    cmd_weight: Weight
    cmd_warmup: Annotated[int, Field(ge=0)]
    img_weight: Weight
    cycle_weight: Weight
    steps: Positive
    translation_weight: Weight


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


class Params(Shared):
    """The whole of params.yaml."""

    corpus: Annotated[str, Field(pattern=r"^[^'\n]+$")]
    folds: Annotated[list[Positive], Field(min_length=1), *Distinct]
    seeds: Annotated[list[Seed], Field(min_length=1), *Distinct]
    rows: Annotated[list[Name], Field(min_length=1), *Distinct]
    synthesize: Synthesize
    split: Split
    pretrainings: dict[Name, dict[str, Any]]
    systems: dict[Name, dict[Name, dict[str, Any]]]
    model: Model
    pretrain: Fit
    train: Fit
    comparison: Comparison
    figures: Figures


def keys(group: type[BaseModel], above: str = "") -> list[str]:
    """List the keys of a group with those of the groups in it, each below its own: a, b, b.c."""
    found = []
    for name, field in group.model_fields.items():
        found.append(f"{above}{name}")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += keys(field.annotation, f"{above}{name}.")
    return found


def json_schema() -> dict[str, Any]:
    """Say the same as a JSON schema (draft 2020-12), by which an editor completes and checks params.yaml.

    Left to the pipeline: which keys an entry's build reads, that names of systems agree, that a shortest
    length is not above the longest, and that a number is finite and a whole one written without a point.
    """
    whole, entry = Params.model_json_schema(), Entry.model_json_schema()
    for described in entry["properties"].values():
        del described["default"]  # None: the key may be left out
    named = next(iter(whole["properties"]["pretrainings"]["patternProperties"]))
    closed = {"type": "object", "additionalProperties": False}
    entries = {**closed, "patternProperties": {named: {"$ref": "#/$defs/Entry"}}}
    groups = {**closed, "patternProperties": {named: entries}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "title": "params.yaml",
        "properties": {**whole["properties"], "pretrainings": entries, "systems": groups},
        "$defs": {**whole["$defs"], **entry.pop("$defs"), "Entry": entry},
    }
