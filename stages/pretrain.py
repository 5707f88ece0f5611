"""Reads a kind of pretraining's settings, data/features and a fold. Writes encoders and history."""

from collections.abc import Sequence
from typing import Any

from ifmmin import batches, entry
from ifmmin.artifacts import checkpoints, configs, features, folds, histories, scalings, weights
from ifmmin.loading import load
from ifmmin.training import devices, loop, seeding

INPUTS = ("kind", "--config", "--features", "--fold", "--scaling", "--seed")


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = entry.arguments(argv, __doc__, *INPUTS, "--encoders", "--history")
    config = configs.read(args.config)
    settings = loop.Settings(**config["fit"])
    device, run = devices.settle(settings.threads)
    source = {"fold": folds.number(args.fold), "seed": args.seed}
    seeding.start(seed := seeding.of_fold(**source))
    fold, scaling = folds.read(args.fold), scalings.read(args.scaling)
    corpus = batches.corpus(*features.read(args.features), fold, scaling, device)
    given = {"sizes": corpus.sizes(), "n_classes": len(corpus.classes)}
    network = load("pretrainings", args.kind).build(**given, **config["build"]).to(device)
    checkpoint = checkpoints.Checkpoint(
        f"pretrain-{args.kind}-{args.history.stem}",
        {**entry.given(args, INPUTS), **run, "on": devices.model(device)},
    )
    how = {"seed": seed, "precision": run["precision"], "checkpoint": checkpoint}
    with entry.progress(f"pretrain {args.kind} {args.history.stem}", settings.epochs) as on_epoch:
        fitted = loop.fit(network, corpus, settings, **how, on_epoch=on_epoch)
    header = {"encoders": network.encoders.settings, **config, "run": run, "collapsed": fitted.collapsed}
    weights.write(args.encoders, network.encoders.state_dict(), {"kind": args.kind, **source, **header})
    histories.write(args.history, fitted.history)
    checkpoint.remove()
    return run


if __name__ == "__main__":
    entry.run(main)
