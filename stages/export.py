"""Reads a model, its fold and test predictions, data/features and the scores of all runs.

Writes a folder for the Hugging Face Hub: weights, ONNX, settings and model card.
"""

import ifmmin  # noqa: F401, I001 - refuses an old Python before the imports below fail on it

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ifmmin import entry, files, systems
from ifmmin.artifacts import exports, features, folds, predictions, tables, weights
from ifmmin.exporting import card, checking, graph, settings

INPUTS = ("--model", "--fold", "--scores", "--features", "--predictions")


def predicted(path: Path, header: Mapping[str, Any]) -> pd.DataFrame:
    """Read the test predictions of the model that has this header."""
    table, _, run = predictions.read(path)
    files.check_source(path, run, {key: header.get(key) for key in ("system", "fold", "seed")})
    return table


def main(argv: Sequence[str]) -> dict[str, float]:
    args = entry.arguments(argv, __doc__, *INPUTS, "--out")
    tensors, header = weights.read(args.model, fold=folds.number(args.fold))
    sizes, given = settings.sizes(header), settings.given(header)
    system = systems.restore(str(args.model), tensors, header)
    onnx = graph.traced(system, sizes=sizes, **given)
    index, frames, _ = features.read(args.features)
    tried = checking.utterances(index, frames, sizes)
    difference = checking.largest_difference(onnx, system, tried, **given)
    entry.log.info("ONNX and torch differ by %.1e at most", difference)
    exports.write(
        args.out,
        model=args.model,
        onnx=onnx,
        config=settings.config(header),
        preprocessor=settings.preprocessor(header),
        card=card.text(
            header,
            fold=folds.read(args.fold).merge(index, on="utterance_id"),
            scores=tables.read(args.scores, "scores"),
            predictions=predicted(args.predictions, header),
        ),
        licence=card.licence(header["corpus"]),
    )
    return {"largest_difference": difference}


if __name__ == "__main__":
    entry.run(main)
