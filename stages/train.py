"""Reads a system's settings, data/features, a fold and the encoders it starts from, if any.

Writes model and history.
"""

from collections.abc import Sequence
from typing import Any

from ifmmin import batches, calibration, entry, evaluating, systems
from ifmmin.artifacts import checkpoints, configs, features, folds, histories, scalings, weights
from ifmmin.terms import CONDITIONS, FULL
from ifmmin.training import devices, loop, prediction, seeding

INPUTS = ("system", "--config", "--features", "--fold", "--scaling", "--seed", "[--encoders]")
FROM_SCRATCH: dict[str, Any] = {"run": None, "collapsed": []}


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = entry.arguments(argv, __doc__, *INPUTS, "--model", "--history")
    config = configs.read(args.config)
    settings = loop.Settings(**config["fit"])
    device, run = devices.settle(settings.threads)
    seeding.start(args.seed)
    fold, scaling = folds.read(args.fold), scalings.read(args.scaling)
    corpus = batches.corpus(*features.read(args.features), fold, scaling, device)
    tensors, pretrained = weights.read(args.encoders) if args.encoders else (None, FROM_SCRATCH)
    start = {"encoders": pretrained["encoders"]} if tensors else {"sizes": corpus.sizes()}
    given = {"start": {**start, "n_classes": len(corpus.classes)}, "build": config["build"]}
    system = systems.build(args.system, **given, pretrained=tensors).to(device)
    name, of = f"train {args.system} {args.history.stem}", {**entry.given(args, INPUTS), **run}
    checkpoint = checkpoints.Checkpoint(name.replace(" ", "-"), {**of, "on": devices.model(device)})
    how = {"seed": args.seed, "precision": run["precision"], "checkpoint": checkpoint}
    with entry.progress(name, settings.epochs) as on_epoch:
        fitted = loop.fit(system, corpus, settings, **how, on_epoch=on_epoch)
    said, _ = prediction.predict(system, corpus, "validation", (*CONDITIONS, FULL), run["precision"])
    collapsed = sorted({*fitted.collapsed, *pretrained["collapsed"]})
    how = {"system": args.system, "fit": config["fit"], "run": run, "pretrained": pretrained["run"]}
    use = {"corpus": features.read_corpus(args.features), "scaling": scalings.content(*scaling)}
    use["calibration"] = calibration.fitted(evaluating.tables(said, corpus, "validation")[0])
    weights.write(args.model, system.state_dict(), {**given, **how, "collapsed": collapsed, **use})
    histories.write(args.history, fitted.history)
    checkpoint.remove()
    return run


if __name__ == "__main__":
    entry.run(main)
