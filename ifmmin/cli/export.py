"""`ifmmin export`: runs the stage export for any trained and evaluated model of the project."""

import argparse
import shlex
from itertools import pairwise
from pathlib import Path

from ruamel.yaml import YAML

from ifmmin.cli import project
from ifmmin.core.errors import UserError
from ifmmin.deploy import exporting
from ifmmin.settings import params
from ifmmin.training import weights


def main(args: argparse.Namespace) -> None:
    """Find the files that belong to the model's system, fold and seed, and export the model."""
    root = project.root()
    _, header = weights.read(args.model)
    source = [header.get(key) for key in ("system", "fold", "seed")]
    if None in source:
        raise UserError(
            f"{args.model}: does not state its system, fold and seed; expected a model trained by this "
            "pipeline. Pass a file in data/models."
        )
    paths = _paths(root, *map(str, source))
    exporting.export(
        args.model,
        fold=paths["--fold"],
        scores=paths["--scores"],
        features_folder=paths["--features"],
        predictions_file=paths["--predictions"],
        calibration_bins=params.read(paths["--params"], "export")["export"]["calibration_bins"],
        out=args.out,
    )


def _paths(root: Path, system: str, fold: str, seed: str) -> dict[str, Path]:
    """Return option to path of the stage export, for the given system, fold and seed."""
    command = YAML(typ="safe", pure=True).load((root / "dvc.yaml").read_text("utf-8"))["stages"]["export"][
        "cmd"
    ]
    for key, value in (("comparison.proposed", system), ("folds[0]", fold), ("seeds[0]", seed)):
        command = command.replace(f"${{{key}}}", value)
    return {option: root / path for option, path in pairwise(shlex.split(command)) if option.startswith("--")}
