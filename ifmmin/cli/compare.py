"""`ifmmin compare`: compares the predictions of experiments utterance by utterance.

The first revision is the reference: a commit, branch, tag, experiment (`dvc exp show`), or `workspace`. A
single revision is compared with the workspace. Missing predictions are fetched from the DVC remote.
"""

import argparse
import sys
import tempfile
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ifmmin.cli import project
from ifmmin.core.errors import UserError, one_line
from ifmmin.corpus import features, folds
from ifmmin.evaluation import predictions
from ifmmin.results import experiment_diff, experiment_files
from ifmmin.results.table1 import Runs
from ifmmin.settings.presets import flat

WORKSPACE = "workspace"
PREDICTION_STAGES = ("split", "configure")
"""Stages whose params determine the predictions."""
REMEDY = "Run dvc pull, or dvc repro, at that revision."


class Revision:
    """An experiment stored in git and DVC."""

    def __init__(self, name: str, folder: Path) -> None:
        """Open a revision; `folder` receives the fetched files.

        Raises:
            UserError: if the revision does not exist, or its results do not match its params.yaml.
        """
        from dvc.api import DVCFileSystem
        from dvc.exceptions import DvcException
        from dvc.scm import RevError

        self.name, self._folder = name, folder
        try:
            self._files = DVCFileSystem(str(project.root()), rev=None if name == WORKSPACE else name)
            self._files.ls("")
        except (DvcException, RevError) as error:
            raise UserError(
                f"{name}: {one_line(error)}. Expected a commit, branch, tag, experiment or {WORKSPACE}."
            ) from error
        self.params: dict[str, Any] = self._yaml("params.yaml")
        self._paths = project.options(self.fetch("dvc.yaml").read_text("utf-8"), "aggregate")
        self._check()

    def _check(self) -> None:
        """Check that the results were made with this revision's params.yaml."""
        lock = self._yaml("dvc.lock")["stages"]
        by_stage = [
            lock.get(stage, {}).get("params", {}).get("params.yaml", {}) for stage in PREDICTION_STAGES
        ]
        recorded = {key: value for params in by_stage for key, value in params.items()}
        current = {key: self.params.get(key) for key in recorded}
        for key, (now, then) in experiment_diff.changed(dict(flat(current)), dict(flat(recorded))).items():
            raise UserError(
                f"{self.name}: params.yaml has {key} {now}; its results were made with {then}. "
                "Run dvc repro at that revision."
            )

    def _yaml(self, path: str) -> Any:  # noqa: ANN401 - any YAML value
        return YAML(typ="safe", pure=True).load(self.fetch(path).read_text("utf-8"))

    def fetch(self, path: str) -> Path:
        """Copy a file from git, the cache or the remote into the folder.

        Raises:
            UserError: if the file is in none of them, or cannot be fetched.
        """
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._files.get_file(path, str(target))
        except FileNotFoundError as error:
            fault = f"{self.name}: {path} is neither in the cache nor in a remote."
            raise UserError(f"{fault} {REMEDY}") from error
        except Exception as error:  # each remote's library has its own errors
            fault = f"{self.name}: {path} could not be fetched ({one_line(error)})."
            raise UserError(f"{fault} {REMEDY}") from error
        return target

    @cached_property
    def runs(self) -> Runs:
        """The predictions of every run in Table 1."""
        keys = list(product(*(self.params[key] for key in ("rows", "folds", "seeds"))))
        for system, fold, seed in keys:
            self.fetch(f"{self._paths['--predictions']}/{system}/{fold}-{seed}.parquet")
        return predictions.read_all(self._folder / self._paths["--predictions"], keys)[0]

    @cached_property
    def roles(self) -> dict[int, Any]:
        """Fold to the role of each utterance."""
        return {
            fold: folds.read(self.fetch(f"{self._paths['--folds']}/{fold}.parquet"))
            for fold in self.params["folds"]
        }

    def n_classes(self) -> int:
        """Return the number of classes of the corpus."""
        path = self.fetch(f"{self._paths['--features']}/corpus.json")
        return len(features.read_corpus(path.parent)["classes"])


def compared(reference: Revision, other: Revision) -> tuple[str, Any]:
    """Compare two revisions.

    Returns:
        The text to print, and the table.
    """
    table = experiment_diff.compared(reference.runs, other.runs, reference.roles, reference.n_classes())
    changed = experiment_diff.changed(dict(flat(reference.params)), dict(flat(other.params)))
    return experiment_files.text(table, reference.name, other.name, changed), table


def main(args: argparse.Namespace) -> None:
    """Compare each revision with the first; print and write the results."""
    out = args.out or project.root() / "ablations"
    names = args.revisions if len(args.revisions) > 1 else [*args.revisions, WORKSPACE]
    with tempfile.TemporaryDirectory() as folder:
        reference, *others = (Revision(name, Path(folder, str(n))) for n, name in enumerate(names))
        for other in others:
            text, table = compared(reference, other)
            sys.stdout.write(text + "\n")
            experiment_files.write(out, f"{reference.name}..{other.name}", table, text)
