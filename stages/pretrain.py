"""Reads one kind of pretraining's settings, data/features and a fold. Writes encoders and history."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ifmmin import batches, entry, pretrainings
from ifmmin.artifacts import configs, features, folds, histories, scalings, weights
from ifmmin.training import devices, loop, seeding


def main(argv: Sequence[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind")
    for name in ("config", "features", "fold", "scaling", "encoders", "history"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args(argv)

    config, corpus_ = configs.read(args.config), features.read(args.features)
    settings, device, precision = loop.Settings(**config["fit"]), devices.device(), devices.precision()
    seeding.start(args.seed, settings.threads)
    corpus = batches.corpus(
        corpus_.index, corpus_.frames, folds.read(args.fold), scalings.read(args.scaling), device
    )
    network = (
        pretrainings.load(args.kind)
        .build(sizes=corpus.sizes(), n_classes=len(corpus_.classes), **config["build"])
        .to(device)
    )
    with entry.progress(f"pretrain {args.kind} {args.history.stem}", settings.epochs) as on_epoch:
        fitted = loop.fit(network, corpus, settings, seed=args.seed, precision=precision, on_epoch=on_epoch)
    run = {"device": device.type, "precision": precision, "threads": settings.threads}
    weights.write(
        args.encoders,
        network.encoders.state_dict(),
        {
            "kind": args.kind,
            "encoders": network.encoder_settings,
            **config,
            "run": run,
            "collapsed": fitted.collapsed,
        },
    )
    histories.write(args.history, fitted.history)
    return run


if __name__ == "__main__":
    entry.run(main)
