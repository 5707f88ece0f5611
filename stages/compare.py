"""Compares experiments, utterance by utterance: python stages/compare.py REV [REV ...].

The first is the reference: a commit, branch, tag, experiment (`dvc exp show`), or `workspace`. With one,
the workspace is compared with it. Prints a table for each other one and writes it, with every number, to
ablations/. Predictions that are not here are fetched from the DVC remote.
"""

import ifmmin  # noqa: F401, I001 - refuses an old Python before the imports below fail on it

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ifmmin import contrast, entry, project
from ifmmin.artifacts import ablations, features, folds, predictions
from ifmmin.averaging import Runs
from ifmmin.errors import UserError, one_line
from ifmmin.presets import flat

WORKSPACE = "workspace"
MAKERS = ("split", "configure")
"""Stages that read what predictions depend on."""
REMEDY = "Run dvc pull, or dvc repro, at that revision."


class Revision:
    """An experiment as git and DVC keep it."""

    def __init__(self, name: str, folder: Path) -> None:
        """Open it; what is fetched of it lies in `folder`."""
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
        command = shlex.split(self._yaml("dvc.yaml")["stages"]["aggregate"]["cmd"])
        self._paths = dict(pairwise(command))  # as aggregate is told of them
        self._check()

    def _check(self) -> None:
        """See that its results were made with its params.yaml."""
        lock = self._yaml("dvc.lock")["stages"]
        recorded = [lock.get(stage, {}).get("params", {}).get("params.yaml", {}) for stage in MAKERS]
        made = {key: value for params in recorded for key, value in params.items()}
        own = {key: self.params.get(key) for key in made}
        for key, (now, then) in contrast.changed(dict(flat(own)), dict(flat(made))).items():
            raise UserError(
                f"{self.name}: params.yaml has {key} {now}; its results were made with {then}. "
                "Run dvc repro there."
            )

    def _yaml(self, path: str) -> Any:  # noqa: ANN401 - of any shape
        return YAML(typ="safe", pure=True).load(self.fetch(path).read_text("utf-8"))

    def fetch(self, path: str) -> Path:
        """Bring a file here, from git, the cache or the remote."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._files.get_file(path, str(target))
        except FileNotFoundError as error:
            where = f"{self.name}: {path} is neither in the cache nor in a remote."
            raise UserError(f"{where} {REMEDY}") from error
        except Exception as error:  # whatever the remote's own library raises
            where = f"{self.name}: {path} could not be fetched ({one_line(error)})."
            raise UserError(f"{where} {REMEDY}") from error
        return target

    @cached_property
    def runs(self) -> Runs:
        """The predictions of every run of its table."""
        keys = list(product(*(self.params[key] for key in ("rows", "folds", "seeds"))))
        for system, fold, seed in keys:
            self.fetch(f"{self._paths['--predictions']}/{system}/{fold}-{seed}.parquet")
        return predictions.read_all(self._folder / self._paths["--predictions"], keys)[0]

    @cached_property
    def roles(self) -> dict[int, Any]:
        """Who does what in each fold."""
        return {
            fold: folds.read(self.fetch(f"{self._paths['--folds']}/{fold}.parquet"))
            for fold in self.params["folds"]
        }

    def n_classes(self) -> int:
        """How many classes its corpus has."""
        path = self.fetch(f"{self._paths['--features']}/corpus.json")
        return len(features.read_corpus(path.parent)["classes"])


def compared(reference: Revision, other: Revision) -> tuple[str, Any]:
    """Compare two; the text that is printed, and the table behind it."""
    table = contrast.compared(reference.runs, other.runs, reference.roles, reference.n_classes())
    changed = contrast.changed(dict(flat(reference.params)), dict(flat(other.params)))
    return ablations.text(table, reference.name, other.name, changed), table


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revisions", nargs="+", metavar="REV")
    parser.add_argument("--out", type=Path, help="folder for the tables (default: ablations of the project)")
    args = parser.parse_args(argv)
    out = args.out or project.root() / "ablations"
    names = args.revisions if len(args.revisions) > 1 else [*args.revisions, WORKSPACE]
    with tempfile.TemporaryDirectory() as folder:
        reference, *others = (Revision(name, Path(folder, str(n))) for n, name in enumerate(names))
        for other in others:
            text, table = compared(reference, other)
            sys.stdout.write(text + "\n")
            ablations.write(out, f"{reference.name}..{other.name}", table, text)


if __name__ == "__main__":
    entry.run(main)
