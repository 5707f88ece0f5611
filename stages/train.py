"""Reads one system's settings, data/features, a fold and pretrained encoders. Writes model and history."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ifmmin import batches, entry, systems
from ifmmin.artifacts import configs, features, folds, histories, scalings, weights
from ifmmin.nn.encoders import Encoders
from ifmmin.training import devices, loop, seeding


def main(argv: Sequence[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system")
    for name in ("config", "features", "fold", "scaling", "encoders", "model", "history"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args(argv)

    config, corpus_ = configs.read(args.config), features.read(args.features)
    settings, device, precision = loop.Settings(**config["fit"]), devices.device(), devices.precision()
    seeding.start(args.seed, settings.threads)
    corpus = batches.corpus(
        corpus_.index, corpus_.frames, folds.read(args.fold), scalings.read(args.scaling), device
    )
    tensors, pretrained = weights.read(args.encoders)
    encoders = Encoders(**pretrained["encoders"])
    encoders.load_state_dict(tensors)
    system = (
        systems.load(args.system)
        .build(encoders=encoders, n_classes=len(corpus_.classes), **config["build"])
        .to(device)
    )
    with entry.progress(f"train {args.system} {args.history.stem}", settings.epochs) as on_epoch:
        fitted = loop.fit(system, corpus, settings, seed=args.seed, precision=precision, on_epoch=on_epoch)
    run = {"device": device.type, "precision": precision, "threads": settings.threads}
    weights.write(
        args.model,
        system.state_dict(),
        {
            "system": args.system,
            "encoders": pretrained["encoders"],
            "n_classes": len(corpus_.classes),
            **config,
            "run": run,
            "collapsed": sorted({*fitted.collapsed, *pretrained["collapsed"]}),
        },
    )
    histories.write(args.history, fitted.history)
    return run


if __name__ == "__main__":
    entry.run(main)
