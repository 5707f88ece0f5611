"""Schema of params.yaml: keys, types and ranges. It holds no values and no defaults.

After a change, run `python -m ifmmin.settings.schema > params.schema.json`. Editors use this file to complete
and check params.yaml.
"""

import json
import sys
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
"""The group of systems that are trained without pretrained encoders."""

Distinct = (AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True}))
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Group(BaseModel):
    """A group of keys in params.yaml. Unknown keys are rejected; values are immutable."""

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
    """Size and difficulty of the synthetic corpus."""

    seed: Seed
    utterances_per_speaker: Annotated[int, Field(ge=8)]
    sizes: PerModality
    frames: Lengths
    signal: Strengths
    noise: Weight


class Split(Group):
    """Source of the folds."""

    folds_from: Literal["rule", "pack", "auto"]


class Model(Group):
    """Network settings shared by several systems."""

    hidden: Positive
    kernel_heights: Annotated[list[Positive], Field(min_length=1), *Distinct]
    filters: Positive
    text_dropout: Fraction
    missing_steps: PerModality
    invariance_depth: Positive
    invariance_activation: Literal["leaky_relu", "tanh", "sigmoid"]
    invariance_dropout: Fraction
    autoencoder: Annotated[list[Positive], Field(min_length=1)]
    cascade: Literal["every", "first", "if22", "residual"]
    residual_output: bool
    transition: bool
    distance: Literal["rmse", "mse"]
    invariant_input: Literal["own", "mean", "joint"]
    inv_modalities: Literal["all", "missing"]
    inv_text_dropout: bool
    classifier: Annotated[list[Positive], Field(min_length=1)]
    dropout: Fraction


class Fit(Group):
    """Optimisation settings."""

    epochs_constant: Positive
    epochs_decay: Annotated[int, Field(ge=0)]
    batch: Annotated[int, Field(ge=2)]
    lr: Rate
    beta1: Fraction
    clip: Rate
    on_collapse: Literal["stop", "warn"]
    threads: Annotated[int, Field(ge=1, le=1024)]


class Comparison(Group):
    """Systems that are compared in Table 1."""

    proposed: Name
    baselines: Annotated[list[Name], *Distinct]
    ablations: Annotated[list[Name], *Distinct]
    on_par: Weight


class Figures(Group):
    """System and settings of the figures."""

    system: Name
    utterances: Positive
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    perplexity: Rate


class Export(Group):
    """Settings of the exported model card."""

    calibration_bins: Positive


class Shared(Group):
    """Top-level values available to all systems, easy to override on the command line."""

    lambda1: Weight
    lambda2: Weight
    K: Positive
    M: Positive


class EntryOnly(Group):
    """Values that only entries of systems or pretrainings may set."""

    cmd_weight: Weight
    cmd_warmup: Annotated[int, Field(ge=0)]
    cmd_form: Literal["plain", "zellinger", "scale_free"]
    cmd_memory: Annotated[int, Field(ge=0)]
    smallest_batch: Annotated[int, Field(ge=2)]
    img_weight: Weight
    cycle_weight: Weight
    steps: Positive
    translation_weight: Weight


def _optional(*groups: type[BaseModel]) -> dict[str, Any]:
    """Fields of several groups, all optional."""
    return {
        name: (Annotated[field.annotation, *field.metadata, Field()], None)
        for group in groups
        for name, field in group.model_fields.items()
    }


Entry = create_model(
    "Entry",
    __config__=ConfigDict(extra="allow", strict=True),
    __doc__="An entry of systems or pretrainings. Keys of other groups have the same range here.",
    **_optional(Model, Fit, EntryOnly, Shared),
)


class Params(Shared):
    """All keys of params.yaml."""

    corpus: Annotated[str, Field(pattern=r"^[^'\n]+$")]
    folds: Annotated[list[Positive], Field(min_length=1), *Distinct]
    seeds: Annotated[list[Seed], Field(min_length=1), *Distinct]
    rows: Annotated[list[Name], Field(min_length=1), *Distinct]
    names: dict[Name, Annotated[str, Field(min_length=1)]]
    synthesize: Synthesize
    split: Split
    missing_rates: Annotated[list[Fraction], Field(min_length=1), *Distinct]
    pretrainings: dict[Name, dict[str, Any]]
    systems: dict[Name, dict[Name, dict[str, Any]]]
    model: Model
    pretrain: Fit
    train: Fit
    comparison: Comparison
    figures: Figures
    export: Export


def keys(group: type[BaseModel], prefix: str = "") -> list[str]:
    """List the keys of a group and, with dots, of its nested groups: a, b, b.c."""
    names = []
    for name, field in group.model_fields.items():
        names.append(f"{prefix}{name}")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names += keys(field.annotation, f"{prefix}{name}.")
    return names


def json_schema() -> dict[str, Any]:
    """The schema of params.yaml as a JSON schema (draft 2020-12), for editors.

    Only the pipeline checks the following: the keys that the build function of an entry accepts, that system
    names agree, that the shortest length is at most the longest, that numbers are finite, and that integers
    are written without a decimal point.
    """
    root, entry = Params.model_json_schema(), Entry.model_json_schema()
    for properties in entry["properties"].values():
        del properties["default"]  # None: the key may be left out
    name_pattern = next(iter(root["properties"]["pretrainings"]["patternProperties"]))
    strict_object = {"type": "object", "additionalProperties": False}
    entry_group = {**strict_object, "patternProperties": {name_pattern: {"$ref": "#/$defs/Entry"}}}
    groups = {**strict_object, "patternProperties": {name_pattern: entry_group}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "title": "params.yaml",
        "properties": {**root["properties"], "pretrainings": entry_group, "systems": groups},
        "$defs": {**root["$defs"], **entry.pop("$defs"), "Entry": entry},
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
