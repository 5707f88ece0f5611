"""Reads a model, data/features and its fold. Writes test predictions in every condition, and H'."""

from collections.abc import Sequence
from typing import Any

from ifmmin import batches, entry, evaluating, systems
from ifmmin.artifacts import features, folds, invariants, predictions, scalings, weights
from ifmmin.terms import CONDITIONS, FULL
from ifmmin.training import devices, prediction, seeding

INPUTS = ("system", "--features", "--fold", "--scaling", "--model")


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = entry.arguments(argv, __doc__, *INPUTS, "--predictions", "--invariants")
    tensors, header = weights.read(args.model)
    device, run = devices.settle(header["fit"]["threads"])
    seeding.start(0)
    fold, scaling = folds.read(args.fold), scalings.read(args.scaling)
    corpus = batches.corpus(*features.read(args.features), fold, scaling, device)
    system = systems.build(args.system, start=header["start"], build=header["build"])
    system.load_state_dict(tensors)
    predicted, _ = prediction.predict(
        system.to(device), corpus, "test", (*CONDITIONS, FULL), run["precision"]
    )
    table, H_prime = evaluating.tables(predicted, corpus, "test")
    made = {"trained": header["run"], "evaluated": run, **{k: header[k] for k in ("pretrained", "collapsed")}}
    predictions.write(args.predictions, table, corpus.classes, made)
    invariants.write(args.invariants, table[["utterance_id", "condition"]].iloc[: len(H_prime)], H_prime)
    return run


if __name__ == "__main__":
    entry.run(main)
