"""Which settings avoid collapse: the measurements of docs/collapse.md.

    python tests/bench/collapse.py                  # on the synthetic corpus, after `dvc repro split`
    python tests/bench/collapse.py --features F --folds G --scale 3

With each group of settings it pretrains and trains IF-MMIN for the epochs of params.yaml. It prints the share
of active units and the std on the validation utterances at the selected epochs, and the test UA from text
alone. One group takes about a minute on one core.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import project
import torch

from ifmmin import systems
from ifmmin.core import scoring
from ifmmin.core.loading import load
from ifmmin.corpus import features, folds, scalings
from ifmmin.settings import params
from ifmmin.training import batches, loop, seeding
from ifmmin.training.prediction import predict
from stages import configure

EQUATION_1 = {"cmd_form": "plain", "cmd_weight": 0.003, "invariant_input": "own"}
"""What the other settings start from, as in the preset paper."""
CHANGES = {
    "equation 1 x 0.003": {},
    "L_cmd x 0.001": {"cmd_weight": 0.001},
    "L_cmd x 0.01": {"cmd_weight": 0.01},
    "L_cmd x 0.1": {"cmd_weight": 0.1},
    "L_cmd x 1": {"cmd_weight": 1.0},
    "LeakyReLU": {"invariance_activation": "leaky_relu"},
    "LeakyReLU, L_cmd x 1": {"invariance_activation": "leaky_relu", "cmd_weight": 1.0},
    "no dropout in Enc_t": {"text_dropout": 0.0},
    "dropout 0.5 in Enc'": {"invariance_dropout": 0.5},
    "literal": {
        "invariance_activation": "leaky_relu",
        "cmd_weight": 1.0,
        "invariance_dropout": 0.5,
    },
}
SETTINGS = {"default": {}} | {name: EQUATION_1 | change for name, change in CHANGES.items()}
MEASURED = ("h_a", "h_v", "h_t", "H_a", "H_v", "H_t")


class Measured(NamedTuple):
    """Share of active units and std at the selected epochs of both trainings, and test UA by condition."""

    pretraining: dict[str, float]
    training: dict[str, float]
    ua: dict[str, float]


def corpus(features_folder, folds_folder, fold, scale=1.0):
    """One fold with visual and textual frames multiplied by `scale`, and the number of classes."""
    read = features.read(features_folder)
    frames = (
        read.frames
        if scale == 1
        else {m: x if m == "a" else x * np.float32(scale) for m, x in read.frames.items()}
    )
    scaling = scalings.read(folds_folder / f"{fold}_scaling.json")
    roles = folds.read(folds_folder / f"{fold}.parquet")
    data = batches.corpus(read.table, frames, read.classes, roles, scaling, torch.device("cpu"))
    return data, len(read.classes)


def resolved(change, fit):
    """Configs of pretraining and IF-MMIN from params.yaml with changes; a collapse only warns."""
    settings = params.read(project.ROOT / "params.yaml", *configure.PARAMS)
    for entry, module in (
        (settings["pretrainings"]["invariant"], load("pretraining", "invariant")),
        (settings["systems"]["invariant"]["if_mmin"], load("systems", "if_mmin")),
    ):
        accepts = configure.accepts(module)
        entry |= {key: value for key, value in change.items() if key in accepts}
        entry |= {**fit, "on_collapse": "warn"}
    configs = {name: config for name, _, config in configure.resolved(settings, "bench")}
    return configs["invariant"], configs["if_mmin"]


def pretrained(data, n_classes, config, seed):
    """Invariant pretraining on a corpus: the encoders and the history."""
    seeding.start(seed)
    network = load("pretraining", "invariant").build(
        sizes=data.sizes(), n_classes=n_classes, **config["build"]
    )
    return network.encoders, fitted(network, data, config, seed)


def trained(data, n_classes, encoders, config, seed):
    """IF-MMIN trained from pretrained encoders: the system and the history."""
    seeding.start(seed)
    system = systems.build(
        "if_mmin",
        start={"encoders": encoders.settings, "n_classes": n_classes},
        build=config["build"],
        pretrained=encoders.state_dict(),
    )
    return system, fitted(system, data, config, seed)


def fitted(network, data, config, seed):
    """Train a network without messages: its history."""
    silent = {"seed": seed, "precision": "float32", "on_epoch": lambda row: None}
    return loop.fit(network, data, loop.Settings(**config["fit"]), **silent).history


def measure(data, n_classes, change=None, *, seed=0, **fit):
    """Pretrain and train with changed settings on a corpus; `fit` overrides settings of both trainings."""
    pretrain, train = resolved(change or {}, fit)
    encoders, first = pretrained(data, n_classes, pretrain, seed)
    system, second = trained(data, n_classes, encoders, train, seed)
    predicted, _ = predict(system, data, "test", ("a", "v", "t", "avt"), "float32")
    y = data.y[data.rows["test"]].numpy()
    ua = {c: scoring.ua(y, p.O.argmax(1).numpy(), n_classes) for c, p in predicted.items()}
    return Measured(*(history[history["chosen"] == 1].iloc[0].to_dict() for history in (first, second)), ua)


def main():
    """Print a row for each group of settings."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--features", type=Path, default=project.ROOT / "data/features")
    parser.add_argument("--folds", type=Path, default=project.ROOT / "data/folds")
    parser.add_argument("--fold", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    args = parser.parse_args()
    data, n_classes = corpus(args.features, args.folds, args.fold, args.scale)
    columns = (
        "settings",
        "active units of h^t, pretraining",
        "active units of h^t, training",
        "std of H^t, training",
        "test UA {t}",
    )
    show("| " + " | ".join(columns) + " |", "|---|" + "---:|" * 4)
    for name in args.settings:
        measured = measure(data, n_classes, SETTINGS[name], seed=args.seed)
        active = f"{measured.pretraining['active_h_t']:.0%} | {measured.training['active_h_t']:.0%}"
        show(f"| {name} | {active} | {measured.training['std_H_t']:.3f} | {measured.ua['t']:.2f} |")


def show(*lines):
    """Print without buffering, since a row takes a minute."""
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
