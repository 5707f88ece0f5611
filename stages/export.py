"""Reads a trained model, its fold and test predictions, data/features, metrics/scores.csv and params.yaml.

Writes a folder for the Hugging Face Hub: weights, ONNX, settings and model card.
"""

from collections.abc import Sequence

from ifmmin.core import entry
from ifmmin.deploy import exporting
from ifmmin.settings import params

INPUTS = ("--params", "--model", "--fold", "--scores", "--features", "--predictions")
PARAMS = ("export",)


def main(argv: Sequence[str]) -> dict[str, float]:
    args = entry.arguments(argv, __doc__, *INPUTS, "--out")
    difference = exporting.export(
        args.model,
        fold=args.fold,
        scores=args.scores,
        features_folder=args.features,
        predictions_file=args.predictions,
        calibration_bins=params.read(args.params, *PARAMS)["export"]["calibration_bins"],
        out=args.out,
    )
    return {"largest_difference": difference}


if __name__ == "__main__":
    entry.run(main)
