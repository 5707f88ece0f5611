"""Reads params.yaml, data/features, folds, encoders, the H' of the systems and the settings of one.

Writes measures of whether H is invariant and H' predicts it, and the H' of random weights for figure 3a.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ifmmin import systems
from ifmmin.core import configs, entry
from ifmmin.core.errors import UserError
from ifmmin.corpus import features, folds, scalings
from ifmmin.evaluation import invariants
from ifmmin.evaluation import mechanism as measures
from ifmmin.results import mechanism
from ifmmin.settings import params
from ifmmin.training import batches, devices, seeding, tabulation, weights

INPUTS = ("--params", "--config", "--features", "--folds", "--encoders", "--invariants")
PARAMS = ("folds", "seeds", "rows", "figures.system")
KINDS = {measures.PRETRAINED: "invariant", measures.WITHOUT: "no_cmd"}


def encoders(folder: Path, fold: int, seed: int) -> tuple[dict[str, Any], int]:
    """Read the pretrained encoders of a run and add untrained ones; also return K, the highest order."""
    by_name, headers = {}, {}
    for name, kind in KINDS.items():
        path, source = (
            folder / kind / f"{fold}-{seed}.safetensors",
            {"kind": kind, "fold": fold, "seed": seed},
        )
        tensors, headers[name] = weights.read(path, **source)
        by_name[name] = measures.restored(headers[name]["encoders"], tensors)
    header = headers[measures.PRETRAINED]
    random = measures.untrained(header["encoders"], seeding.fold_seed(fold=fold, seed=seed))
    return {**by_name, measures.UNTRAINED: random}, header["build"]["K"]


def untrained(system: str, build: dict[str, Any], start: Any, corpus: Any, precision: str) -> tuple[Any, Any]:  # noqa: ANN401 - scripts do not import torch
    """Predictions and H' of a system with random weights for the test utterances, in every condition."""
    if systems.pretraining(system) != KINDS[measures.PRETRAINED]:
        raise UserError(
            f"{system} has no invariant features H'; expected a system that has them. Check figures.system."
        )
    arguments = {"encoders": start.settings, "n_classes": len(corpus.classes)}
    network = systems.build(system, start=arguments, build=build, pretrained=start.state_dict())
    return tabulation.predicted(network.to(corpus.y.device), corpus, "test", precision)


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = entry.arguments(argv, __doc__, *INPUTS, "--out", "--untrained")
    settings, config = params.read(args.params, *PARAMS), configs.read(args.config)
    device, run = devices.configure(config["fit"]["threads"])
    shown = settings["figures.system"]
    tables: list[pd.DataFrame] = []
    for fold in settings["folds"]:
        roles, scaling = (args.folds / f"{fold}{end}" for end in (".parquet", "_scaling.json"))
        read = (folds.read(roles), scalings.read(scaling))
        corpus = batches.corpus(*features.read(args.features), *read, device)
        for seed in settings["seeds"]:
            networks, K = encoders(args.encoders, fold, seed)
            paths = {name: args.invariants / name / f"{fold}-{seed}.parquet" for name in settings["rows"]}
            H_prime = {
                name: found for name, path in paths.items() if len((found := invariants.read(path))[0])
            }
            if not tables:
                start = networks[measures.UNTRAINED]
                control = untrained(shown, config["build"], start, corpus, run["precision"])
                invariants.write(args.untrained, *control)
            table = measures.run(networks, H_prime, corpus, K, run["precision"])
            tables.append(table.assign(fold=fold, seed=seed))
    mechanism.write(args.out, pd.concat(tables, ignore_index=True))
    return run


if __name__ == "__main__":
    entry.run(main)
