"""Compares scores of our training loop (the engine) with those of the masked plain loop, over several seeds.

    python tests/bench/agreement.py --json metrics/bench/agreement.json    # after `dvc repro split configure`

Both start from the engine's invariant pretraining and train IF-MMIN with the settings of params.yaml on each
fold, with the same batches, masks and seeds. Both select the epoch by validation and are tested in the six
conditions on the CPU. They differ in the order of float32 sums and in the dropout masks; the third column
computes products in bf16. The corpus is synthetic: look at the differences, not at the scores.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import project
import torch
from torch import nn

from bench import plain
from ifmmin import systems
from ifmmin.core import scoring
from ifmmin.core.terms import CONDITIONS, availability
from ifmmin.corpus import features, folds, scalings
from ifmmin.nn.protocol import CheckpointGroup, Prediction, SystemDefaults
from ifmmin.settings import params
from ifmmin.training import batches, loop, seeding
from ifmmin.training.prediction import predict
from stages import configure


class Masked(SystemDefaults, nn.Module):
    """The plain loop's network for the engine's training loop: padded batches, everything encoded."""

    def __init__(self, system):
        """Copy the weights of a system."""
        super().__init__()
        self.plain = plain.Plain(system, masked=True)

    def networks(self):
        """The sub-networks whose gradients are clipped."""
        return self.plain.networks()

    def checkpoint_groups(self):
        """One group."""
        return {"": CheckpointGroup(CONDITIONS, self.state_dict())}

    def precompute_targets(self, x):
        """Nothing: the teacher runs in each step."""
        return {}

    def train(self, mode=True):
        """Enter training mode; the teacher stays in evaluation mode."""
        super().train(mode)
        self.plain.teacher.eval()
        return self

    def training_losses(self, batch):
        """The loss of a padded batch."""
        return {"L": self.plain.losses(*_padded(batch.x), batch.available, batch.y)}

    def encode(self, x):
        """The logits of each condition."""
        frames, lengths = _padded(x)
        masks = {c: torch.tensor([availability(c)] * len(lengths["a"])) for c in CONDITIONS}
        return {c: self.plain.logits(frames, lengths, mask) for c, mask in masks.items()}

    def predict(self, encoded, conditions):
        """The encoded logits."""
        return {c: Prediction(encoded[c], None) for c in conditions}

    def monitored(self, encoded):
        """Nothing: only the engine monitors collapse."""
        return {}


def _padded(x):
    padded = {m: sequences.padded().transpose(0, 1) for m, sequences in x.items()}
    return padded, {m: sequences.lengths for m, sequences in x.items()}


def trained(network, corpus, settings, seed, precision):
    """Train a network and return its mean test UA over the six conditions, in percent."""
    loop.fit(network, corpus, settings, seed=seed, precision=precision, on_epoch=lambda row: None)
    predicted, _ = predict(network, corpus, "test", CONDITIONS, precision)
    y, n = corpus.y[corpus.rows["test"]].numpy(), len(corpus.classes)
    return 100 * float(np.mean([scoring.ua(y, predicted[c].O.argmax(1).numpy(), n) for c in CONDITIONS]))


def compared(corpus, known, seed):
    """Test UA of the masked plain loop, of the engine, and of the engine in bf16."""
    start = {"sizes": corpus.sizes(), "n_classes": len(corpus.classes)}
    module, config = known["invariant"]
    seeding.start(seed)
    teacher = module.build(**start, **config["build"])
    fit = loop.Settings(**config["fit"])._replace(on_collapse="warn")
    loop.fit(teacher, corpus, fit, seed=seed, precision="float32", on_epoch=lambda row: None)
    _, config = known["if_mmin"]
    fit = loop.Settings(**config["fit"])._replace(on_collapse="warn")
    start = {"n_classes": start["n_classes"], "encoders": teacher.encoders.settings}
    scores = {}
    for name, wrap, precision in (
        ("masked plain loop", Masked, "float32"),
        ("engine", lambda system: system, "float32"),
        ("engine, bf16", lambda system: system, "bf16"),
    ):
        torch.manual_seed(seed)
        system = systems.build(
            "if_mmin", start=start, build=config["build"], pretrained=teacher.encoders.state_dict()
        )
        scores[name] = trained(wrap(system), corpus, fit, seed, precision)
    return scores


def main():
    """Measure, print a table and, with --json, write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--features", type=Path, default=project.ROOT / "data" / "features")
    parser.add_argument("--folds", type=Path, default=project.ROOT / "data" / "folds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    settings = params.read(project.ROOT / "params.yaml", *configure.PARAMS, "folds")
    known = {name: (module, config) for name, module, config in configure.resolved(settings, "params.yaml")}
    torch.set_num_threads(1)
    rows = []
    sys.stdout.write(
        "| fold | seed | masked plain loop | engine | engine, bf16 |\n|---|---|---:|---:|---:|\n"
    )
    for fold in settings["folds"]:
        roles = folds.read(args.folds / f"{fold}.parquet")
        scaling = scalings.read(args.folds / f"{fold}_scaling.json")
        corpus = batches.corpus(*features.read(args.features), roles, scaling, torch.device("cpu"))
        for seed in args.seeds:
            scores = compared(corpus, known, seed)
            rows.append({"fold": fold, "seed": seed, **scores})
            cells = " | ".join(f"{score:.2f}" for score in scores.values())
            sys.stdout.write(f"| {fold} | {seed} | {cells} |\n")
            sys.stdout.flush()
    for name, statistic in (("mean", np.mean), ("std", lambda x: np.std(x, ddof=1))):
        cells = " | ".join(f"{statistic([row[key] for row in rows]):.2f}" for key in scores)
        sys.stdout.write(f"| {name} | | {cells} |\n")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
