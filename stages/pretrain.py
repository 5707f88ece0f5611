"""Reads the settings of a kind of pretraining, data/features, and a fold with its scaling.

Writes the pretrained encoders and the training history.
"""

from collections.abc import Sequence
from typing import Any

from ifmmin.core import configs, entry
from ifmmin.core.loading import load
from ifmmin.corpus import features, folds, scalings
from ifmmin.tracking import trackers
from ifmmin.training import batches, checkpoints, devices, histories, loop, seeding, weights

INPUTS = ("kind", "--config", "--features", "--fold", "--scaling", "--seed")


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = entry.arguments(argv, __doc__, *INPUTS, "--encoders", "--history")
    config = configs.read(args.config)
    settings = loop.Settings(**config["fit"])
    device, run = devices.configure(settings.threads)
    source = {"fold": folds.number(args.fold), "seed": args.seed}
    seeding.start(seed := seeding.fold_seed(**source))
    fold, scaling = folds.read(args.fold), scalings.read(args.scaling)
    corpus = batches.corpus(*features.read(args.features), fold, scaling, device)
    arguments = {"sizes": corpus.sizes(), "n_classes": len(corpus.classes)}
    network = load("pretraining", args.kind).build(**arguments, **config["build"]).to(device)
    checkpoint = checkpoints.Checkpoint(
        f"pretrain-{args.kind}-{args.history.stem}",
        {**entry.run_inputs(args, INPUTS), **run, "on": devices.device_name(device)},
    )
    options = {"seed": seed, "precision": run["precision"], "checkpoint": checkpoint}
    with (
        entry.progress(f"pretrain {args.kind} {args.history.stem}", settings.epochs) as show,
        trackers.tracked(show, {"kind": args.kind, **source}, config, checkpoint.key) as on_epoch,
    ):
        fitted = loop.fit(network, corpus, settings, **options, on_epoch=on_epoch)
    header = {"encoders": network.encoders.settings, **config, "run": run, "collapsed": fitted.collapsed}
    weights.write(args.encoders, network.encoders.state_dict(), {"kind": args.kind, **source, **header})
    histories.write(args.history, fitted.history)
    checkpoint.remove()
    return run


if __name__ == "__main__":
    entry.run(main)
