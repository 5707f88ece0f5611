"""Reads a system's settings, data/features, a fold and the encoders it starts from, if any.

Writes model and history.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from ifmmin import batches, calibration, entry, evaluating, systems
from ifmmin.artifacts import checkpoints, configs, features, folds, histories, scalings, weights
from ifmmin.terms import CONDITIONS, FULL
from ifmmin.training import devices, loop, prediction, seeding

INPUTS = ("system", "--config", "--features", "--fold", "--scaling", "--seed", "[--encoders]")
FROM_SCRATCH: dict[str, Any] = {"run": None, "collapsed": []}


def encoders(args: argparse.Namespace, fold: int) -> tuple[Any, dict[str, Any]]:
    """Read the encoders that a system starts from: those of its kind and fold, others have seen the test."""
    if not args.encoders:
        return None, FROM_SCRATCH
    return weights.read(args.encoders, kind=systems.pretraining(args.system), fold=fold)


def calibrated(system: Any, corpus: batches.Corpus, precision: str) -> dict[str, dict[str, float]]:  # noqa: ANN401 - scripts know no torch
    """Fit a temperature for each condition on the validation utterances."""
    predicted, _ = prediction.predict(system, corpus, "validation", (*CONDITIONS, FULL), precision)
    return calibration.fitted(evaluating.tables(predicted, corpus, "validation")[0])


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = entry.arguments(argv, __doc__, *INPUTS, "--model", "--history")
    config = configs.read(args.config)
    settings = loop.Settings(**config["fit"])
    device, run = devices.settle(settings.threads)
    source = {"fold": folds.number(args.fold), "seed": args.seed}
    seeding.start(seed := seeding.of_fold(**source))
    fold, scaling = folds.read(args.fold), scalings.read(args.scaling)
    corpus = batches.corpus(*features.read(args.features), fold, scaling, device)
    tensors, pretrained = encoders(args, source["fold"])
    start = {"encoders": pretrained["encoders"]} if tensors else {"sizes": corpus.sizes()}
    given = {"start": {**start, "n_classes": len(corpus.classes)}, "build": config["build"]}
    system = systems.build(args.system, **given, pretrained=tensors).to(device)
    name, of = f"train {args.system} {args.history.stem}", {**entry.given(args, INPUTS), **run}
    checkpoint = checkpoints.Checkpoint(name.replace(" ", "-"), {**of, "on": devices.model(device)})
    how = {"seed": seed, "precision": run["precision"], "checkpoint": checkpoint}
    with entry.progress(name, settings.epochs) as on_epoch:
        fitted = loop.fit(system, corpus, settings, **how, on_epoch=on_epoch)
    collapsed = sorted({*fitted.collapsed, *pretrained["collapsed"]})
    how = {"system": args.system, **source, "fit": config["fit"], "run": run, "pretrained": pretrained["run"]}
    use = {"corpus": features.read_corpus(args.features), "scaling": scalings.content(*scaling)}
    use["calibration"] = calibrated(system, corpus, run["precision"])
    weights.write(args.model, system.state_dict(), {**given, **how, "collapsed": collapsed, **use})
    histories.write(args.history, fitted.history)
    checkpoint.remove()
    return run


if __name__ == "__main__":
    entry.run(main)
