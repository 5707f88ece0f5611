"""The model card: README.md of an export, in the format of the Hugging Face Hub."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from ifmmin.core.errors import UserError
from ifmmin.core.terms import AVERAGE, LOGIT, ROLES, logit_columns
from ifmmin.deploy.export_settings import scaling_and_temperatures, sizes
from ifmmin.evaluation import calibration_error
from ifmmin.results import table1

TEMPLATE = "card.md.jinja"
METRIC = {"wa": ("accuracy", "WA"), "ua": ("recall", "UA (mean recall of the classes)")}
"""Our metric to its type and display name on the Hub."""


def text(
    header: Mapping[str, Any],
    *,
    fold: pd.DataFrame,
    scores: pd.DataFrame,
    predictions: pd.DataFrame,
    calibration_bins: int,
) -> str:
    """Write the card.

    Args:
        header: header of the model file.
        fold: utterance_id, speaker and role of every utterance in the model's fold.
        scores: metrics/scores.csv, scores of every run of every system.
        predictions: the model's predictions for its test utterances.
        calibration_bins: number of bins of the expected calibration error.

    Returns:
        Markdown with a YAML front matter.

    Raises:
        UserError: if the predictions are for other utterances or classes, or the system has no scores.
    """
    _check(header, fold, scores, predictions)
    name, corpus = header["system"], header["corpus"]
    own = table1.score(predictions, len(corpus["classes"])).set_index("condition")
    spread = table1.table(scores[scores["system"] == name], [name]).set_index("condition")
    known = scaling_and_temperatures(header)["temperatures"]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"score": "{:.4f}".format, "braces": table1.heading}
    return environment.get_template(TEMPLATE).render(
        front=yaml.safe_dump(_front(name, corpus, own), sort_keys=False, allow_unicode=True),
        header=header,
        corpus=corpus,
        sizes=sizes(header),
        extractors=corpus.get("extractors", {}),
        roles=[_role(role, fold[fold["role"] == role]) for role in ROLES],
        apart=not fold.groupby("speaker")["role"].nunique().gt(1).any(),
        runs=spread.loc[AVERAGE].to_dict(),
        rows=[(c, own.loc[c].to_dict(), spread.loc[c].to_dict()) for c in (AVERAGE, *known)],
        calibration_bins=calibration_bins,
        calibrated=calibration_error.measure(predictions, known, calibration_bins),
        licence=licence(corpus),
    )


def licence(corpus: Mapping[str, Any]) -> str:
    """Return the licence of the weights: LICENSE.md of an export."""
    if corpus["synthetic"]:
        return "The corpus is synthetic and has no licence of its own; weights and code: MIT licence."
    terms = " (https://sail.usc.edu/iemocap/)" if corpus["iemocap"] else ""
    return (
        f"The weights are derived from the training corpus: the licence of {corpus['name']}{terms} "
        "applies to them. Read it before you use or share them. The code is under the MIT licence."
    )


def _check(
    header: Mapping[str, Any], fold: pd.DataFrame, scores: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    classes = [name.removeprefix(LOGIT) for name in logit_columns(predictions.columns)]
    if classes != header["corpus"]["classes"]:
        raise UserError(
            f"predictions: classes are {', '.join(classes)}; the model's are "
            f"{', '.join(header['corpus']['classes'])}. Name the predictions of this model."
        )
    if set(predictions["utterance_id"]) != set(fold.loc[fold["role"] == "test", "utterance_id"]):
        raise UserError(
            "predictions: their utterances are not the fold's test utterances. "
            "Name the fold and the predictions of this model."
        )
    if header["system"] not in set(scores["system"]):
        raise UserError(f"scores: no run of {header['system']}. Add it to rows (params.yaml).")


def _front(name: str, corpus: Mapping[str, Any], own: pd.DataFrame) -> dict[str, Any]:
    """Return the front matter; its metrics are those of this model on its test utterances."""
    by_condition = own.to_dict("index")
    metrics = [
        {"type": kind, "name": f"{title}, {table1.heading(c)}", "value": round(float(by_condition[c][m]), 4)}
        for c in table1.SHOWN
        if c in by_condition
        for m, (kind, title) in METRIC.items()
    ]
    slug = _slug(corpus["name"])
    result = {
        "task": {"type": "audio-classification", "name": "Emotion recognition with missing modalities"},
        "dataset": {"type": slug, "name": corpus["name"]},
        "metrics": metrics,
    }
    return {
        "license": "other",
        "license_name": f"licence-of-{slug}",
        "license_link": "LICENSE.md",
        "library_name": "if-mmin",
        "pipeline_tag": "audio-classification",
        "tags": ["emotion-recognition", "multimodal", "missing-modalities", "onnx", "safetensors"],
        "model-index": [{"name": name, "results": [result]}],
    }


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "corpus"


def _role(name: str, part: pd.DataFrame) -> dict[str, Any]:
    return {"name": name, "utterances": len(part), "speakers": sorted(set(part["speaker"]))}
