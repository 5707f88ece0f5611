"""Reads a model, its fold and test predictions, data/features and the scores of all runs.

Writes a folder for the Hugging Face Hub: weights, ONNX, settings and model card.
"""

from collections.abc import Sequence

from ifmmin import entry, systems
from ifmmin.artifacts import exports, features, folds, predictions, tables, weights
from ifmmin.exporting import card, checking, graph, settings

INPUTS = ("--model", "--fold", "--scores", "--features", "--predictions")


def main(argv: Sequence[str]) -> dict[str, float]:
    args = entry.arguments(argv, __doc__, *INPUTS, "--out")
    tensors, header = weights.read(args.model)
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
            predictions=predictions.read(args.predictions)[0],
        ),
        licence=card.licence(header["corpus"]),
    )
    return {"largest_difference": difference}


if __name__ == "__main__":
    entry.run(main)
