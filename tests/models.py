"""A small model of each system with random weights, in the form that the stage train writes."""

import torch

from conftest import ENCODERS, SIZES, SYSTEM
from ifmmin import systems
from ifmmin.core.terms import CONDITIONS, FULL

CLASSES = ["angry", "happy", "neutral", "sad"]
SPECIFIC = {name: x for name, x in ENCODERS.items() if not name.startswith("invariance")}
HEAD = {"classifier": [7, 6], "dropout": 0.5}
IF_MMIN = {key: value for key, value in SYSTEM.items() if key != "n_classes"}
MMIN = {"M": 2, "autoencoder": [10, 8, 5], "distance": "rmse", "img_weight": 4.0, **HEAD}
FUSION = {key: value for key, value in SPECIFIC.items() if key != "sizes"} | HEAD

INVARIANT = {"encoders": ENCODERS, "n_classes": 4}
FUSED = {"encoders": SPECIFIC, "n_classes": 4}
SCRATCH = {"sizes": SIZES, "n_classes": 4}
STARTS = {
    "if_mmin": (INVARIANT, IF_MMIN),
    "if_mmin_no_inv": (INVARIANT, {key: x for key, x in IF_MMIN.items() if key != "lambda2"}),
    "if_mmin_no_cascade": (INVARIANT, {key: x for key, x in IF_MMIN.items() if key != "cascade"}),
    "mmin": (FUSED, MMIN | {"cycle_weight": 2.0}),
    "mmin_no_cycle": (FUSED, MMIN),
    "late_fusion_dropout": (FUSED, HEAD),
    "mctn": (SCRATCH, {"hidden": 6, "steps": 3, "translation_weight": 0.3, **HEAD}),
    "late_fusion_floor": (SCRATCH, FUSION),
    "late_fusion_per_condition": (SCRATCH, FUSION),
}
PER_CONDITION = ("mctn", "late_fusion_per_condition")
SCALING = {"mean": [5.0, 1.0, 2.0, -30.0, 0.0], "std": [1.0, 4.0, 0.5, 20.0, 3.0]}


def known(name):
    """Conditions that a system predicts."""
    return CONDITIONS if name in PER_CONDITION else (*CONDITIONS, FULL)


def header(name):
    """The header of the model file."""
    start, build = STARTS[name]
    run = {"device": "cpu", "precision": "float32", "threads": 1}
    return {
        "system": name,
        "fold": 1,
        "seed": 0,
        "start": start,
        "build": build,
        "fit": {"epochs_constant": 3, "epochs_decay": 2, "batch": 8, "lr": 0.01, "threads": 1},
        "run": run,
        "pretrained": run if "encoders" in start else None,
        "collapsed": [],
        "corpus": {"name": "a corpus", "classes": CLASSES, "synthetic": False, "iemocap": False},
        "scaling": SCALING,
        "calibration": {c: {"temperature": 0.7 + n / 4} for n, c in enumerate(known(name))},
    }


def model(name, seed=0):
    """The system, in evaluation mode."""
    torch.manual_seed(seed)
    start, build = STARTS[name]
    return systems.build(name, start=start, build=build).eval()
