"""Reads a model, data/features and its fold. Writes test predictions in every condition, and H'.

Writes the same of utterances that miss some of their frames, drawn by the seed of the run.
"""

from collections.abc import Sequence
from typing import Any

from ifmmin import batches, entry, evaluating, systems
from ifmmin.artifacts import features, folds, gaps, invariants, predictions, scalings, weights
from ifmmin.terms import CONDITIONS, FULL
from ifmmin.training import devices, prediction, seeding

INPUTS = ("system", "--features", "--fold", "--scaling", "--model", "--seed")
OUTPUTS = ("--predictions", "--invariants", "--gaps")


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = entry.arguments(argv, __doc__, *INPUTS, *OUTPUTS)
    run_of = {"fold": folds.number(args.fold), "seed": args.seed}
    source = {"system": args.system, **run_of}
    tensors, header = weights.read(args.model, **source)
    device, run = devices.settle(header["fit"]["threads"])
    seeding.start(0)
    fold, scaling = folds.read(args.fold), scalings.read(args.scaling)
    corpus = batches.corpus(*features.read(args.features), fold, scaling, device)
    system = systems.restore(str(args.model), tensors, header).to(device)
    how = {"role": "test", "conditions": (*CONDITIONS, FULL), "precision": run["precision"]}
    table, H_prime = evaluating.tables(prediction.predict(system, corpus, **how)[0], corpus, "test")
    seed = seeding.of_fold(**run_of)
    poorer = {share: batches.with_gaps(corpus, "test", share, seed) for share in batches.SHARES}
    said = {share: prediction.predict(system, of, **how)[0] for share, of in poorer.items()}
    missing = {share: evaluating.tables(said[share], of, "test")[0] for share, of in poorer.items()}
    made = {
        **source,
        "trained": header["run"],
        "evaluated": run,
        **{k: header[k] for k in ("pretrained", "collapsed")},
    }
    predictions.write(args.predictions, table, corpus.classes, made)
    gaps.write(args.gaps, missing, corpus.classes, source)
    invariants.write(args.invariants, table[["utterance_id", "condition"]].iloc[: len(H_prime)], H_prime)
    return run


if __name__ == "__main__":
    entry.run(main)
