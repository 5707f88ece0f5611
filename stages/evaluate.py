"""Reads a trained model, data/features, its fold with its scaling, and params.yaml (missing_rates).

Writes H' and the test predictions of every condition, with all frames and at each rate of missing frames.
"""

from collections.abc import Sequence
from typing import Any

from ifmmin import systems
from ifmmin.core import entry
from ifmmin.corpus import features, folds, scalings
from ifmmin.evaluation import dropping, invariants, missing_frames, predictions
from ifmmin.settings import params
from ifmmin.training import batches, devices, seeding, tabulation, weights

INPUTS = ("system", "--params", "--features", "--fold", "--scaling", "--model", "--seed")
OUTPUTS = ("--predictions", "--invariants", "--missing-frames")
PARAMS = ("missing_rates",)


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = entry.arguments(argv, __doc__, *INPUTS, *OUTPUTS)
    rates = params.read(args.params, *PARAMS)["missing_rates"]
    fold_and_seed = {"fold": folds.number(args.fold), "seed": args.seed}
    source = {"system": args.system, **fold_and_seed}
    tensors, header = weights.read(args.model, **source)
    device, run = devices.configure(header["fit"]["threads"])
    seeding.start(seed := seeding.fold_seed(**fold_and_seed))
    fold, scaling = folds.read(args.fold), scalings.read(args.scaling)
    corpus = batches.corpus(*features.read(args.features), fold, scaling, device)
    system = systems.restore(str(args.model), tensors, header).to(device)

    table, H_prime = tabulation.predicted(system, corpus, "test", run["precision"])
    dropped = {rate: dropping.drop_frames(corpus, "test", rate, seed) for rate in rates}
    with_missing_frames = {
        rate: tabulation.predicted(system, part, "test", run["precision"])[0]
        for rate, part in dropped.items()
    }

    run_metadata = {key: header[key] for key in ("pretrained", "collapsed")}
    run_metadata |= {**source, "trained": header["run"], "evaluated": run}
    predictions.write(args.predictions, table, corpus.classes, run_metadata)
    missing_frames.write(args.missing_frames, with_missing_frames, corpus.classes, source)
    invariants.write(args.invariants, table, H_prime)
    return run


if __name__ == "__main__":
    entry.run(main)
