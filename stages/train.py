"""Reads the settings of a system, data/features, a fold with its scaling, and pretrained encoders if needed.

Writes the trained model and the training history.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from ifmmin import systems
from ifmmin.core import configs, entry
from ifmmin.corpus import features, folds, scalings
from ifmmin.tracking import trackers
from ifmmin.training import (
    batches,
    calibration,
    checkpoints,
    devices,
    histories,
    loop,
    seeding,
    tabulation,
    weights,
)

INPUTS = ("system", "--config", "--features", "--fold", "--scaling", "--seed", "[--encoders]")
FROM_SCRATCH: dict[str, Any] = {"run": None, "collapsed": []}


def encoders(args: argparse.Namespace, fold: int) -> tuple[Any, dict[str, Any]]:
    """Read the pretrained encoders and check kind and fold: those of other folds saw the test utterances."""
    if not args.encoders:
        return None, FROM_SCRATCH
    return weights.read(args.encoders, kind=systems.pretraining(args.system), fold=fold)


def calibrated(system: Any, corpus: batches.Corpus, precision: str) -> dict[str, dict[str, float]]:  # noqa: ANN401 - scripts know no torch
    """Fit a temperature for each condition on the validation utterances."""
    return calibration.fit(tabulation.predicted(system, corpus, "validation", precision)[0])


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = entry.arguments(argv, __doc__, *INPUTS, "--model", "--history")
    config = configs.read(args.config)
    settings = loop.Settings(**config["fit"])
    device, run = devices.configure(settings.threads)
    source = {"fold": folds.number(args.fold), "seed": args.seed}
    seeding.start(seed := seeding.fold_seed(**source))
    fold, scaling = folds.read(args.fold), scalings.read(args.scaling)
    corpus = batches.corpus(*features.read(args.features), fold, scaling, device)
    tensors, pretrained = encoders(args, source["fold"])
    start = {"encoders": pretrained["encoders"]} if tensors else {"sizes": corpus.sizes()}
    arguments = {"start": {**start, "n_classes": len(corpus.classes)}, "build": config["build"]}
    system = systems.build(args.system, **arguments, pretrained=tensors).to(device)
    name, key = f"train {args.system} {args.history.stem}", {**entry.run_inputs(args, INPUTS), **run}
    checkpoint = checkpoints.Checkpoint(name.replace(" ", "-"), {**key, "on": devices.device_name(device)})
    options = {"seed": seed, "precision": run["precision"], "checkpoint": checkpoint}
    with (
        entry.progress(name, settings.epochs) as show,
        trackers.tracked(show, {"system": args.system, **source}, config, checkpoint.key) as on_epoch,
    ):
        fitted = loop.fit(system, corpus, settings, **options, on_epoch=on_epoch)
    collapsed = sorted({*fitted.collapsed, *pretrained["collapsed"]})
    fit = {"system": args.system, **source, "fit": config["fit"], "run": run, "pretrained": pretrained["run"]}
    inference = {"corpus": features.read_corpus(args.features), "scaling": scalings.content(*scaling)}
    inference["calibration"] = calibrated(system, corpus, run["precision"])
    weights.write(args.model, system.state_dict(), {**arguments, **fit, "collapsed": collapsed, **inference})
    histories.write(args.history, fitted.history)
    checkpoint.remove()
    return run


if __name__ == "__main__":
    entry.run(main)
