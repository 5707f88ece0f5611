"""A model file as a folder for the Hugging Face Hub: weights, ONNX, settings and model card."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ifmmin import systems
from ifmmin.core import files
from ifmmin.corpus import features, folds
from ifmmin.deploy import card, checking, export_settings, exports, graph
from ifmmin.evaluation import predictions
from ifmmin.results import tables
from ifmmin.training import weights

log = logging.getLogger("ifmmin")


def export(
    model: Path,
    *,
    fold: Path,
    scores: Path,
    features_folder: Path,
    predictions_file: Path,
    calibration_bins: int,
    out: Path,
) -> float:
    """Export a model after checking that ONNX and torch agree on utterances of the corpus.

    Args:
        model: model file.
        fold: file of the fold that the model was trained on.
        scores: scores of all runs (results/tables.py).
        features_folder: features of the corpus.
        predictions_file: test predictions of the model.
        calibration_bins: number of bins of the expected calibration error on the model card.
        out: folder to write; replaces an existing export.

    Returns:
        The largest difference between ONNX and torch, as defined by checking.ALLOWED.

    Raises:
        UserError: if the files belong to different models, or ONNX and torch differ by more than allowed.
    """
    tensors, header = weights.read(model, fold=folds.number(fold))
    sizes, settings = export_settings.sizes(header), export_settings.scaling_and_temperatures(header)
    system = systems.restore(str(model), tensors, header)
    onnx = graph.traced(system, sizes=sizes, **settings)
    index, frames, _ = features.read(features_folder)
    utterances = checking.utterances(index, frames, sizes)
    difference = checking.largest_difference(onnx, system, utterances, **settings)
    log.info("ONNX and torch differ by at most %.1e", difference)
    exports.write(
        out,
        model=model,
        onnx=onnx,
        config=export_settings.config(header),
        preprocessor=export_settings.preprocessor(header),
        card=card.text(
            header,
            fold=folds.read(fold).merge(index, on="utterance_id"),
            scores=tables.read(scores, "scores"),
            predictions=_predicted(predictions_file, header),
            calibration_bins=calibration_bins,
        ),
        licence=card.licence(header["corpus"]),
    )
    return difference


def _predicted(path: Path, header: Mapping[str, Any]) -> pd.DataFrame:
    """Read the test predictions and check that they belong to the model with this header."""
    table, _, run = predictions.read(path)
    files.check_source(path, run, {key: header.get(key) for key in ("system", "fold", "seed")})
    return table
