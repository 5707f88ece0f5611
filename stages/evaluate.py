"""Reads a trained model, data/features and its fold.

Writes test predictions in every condition, and H' where there is one.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ifmmin import batches, entry, evaluating, systems
from ifmmin.artifacts import features, folds, invariants, predictions, scalings, weights
from ifmmin.nn.encoders import Encoders
from ifmmin.terms import CONDITIONS, FULL
from ifmmin.training import devices, loop, seeding


def main(argv: Sequence[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system")
    for name in ("features", "fold", "scaling", "model", "predictions", "invariants"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args(argv)

    corpus_, device, precision = features.read(args.features), devices.device(), devices.precision()
    tensors, header = weights.read(args.model)
    seeding.start(0, header["fit"]["threads"])
    corpus = batches.corpus(
        corpus_.index, corpus_.frames, folds.read(args.fold), scalings.read(args.scaling), device
    )
    system = systems.load(args.system).build(
        encoders=Encoders(**header["encoders"]), n_classes=header["n_classes"], **header["build"]
    )
    system.load_state_dict(tensors)
    predicted, _ = loop.predict(system.to(device), corpus, "test", (*CONDITIONS, FULL), precision)
    table, H_prime = evaluating.tables(
        predicted, corpus_.index.iloc[corpus.rows["test"].cpu().numpy()], corpus_.classes
    )
    evaluated = {"device": device.type, "precision": precision, "threads": header["fit"]["threads"]}
    predictions.write(
        args.predictions,
        table,
        corpus_.classes,
        {"trained": header["run"], "evaluated": evaluated, "collapsed": header["collapsed"]},
    )
    invariants.write(args.invariants, table[["utterance_id", "condition"]].iloc[: len(H_prime)], H_prime)
    return evaluated


if __name__ == "__main__":
    entry.run(main)
