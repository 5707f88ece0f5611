"""`ifmmin results`: prints Table 1 of the last run as text, Markdown, LaTeX or CSV, or the whole report."""

import argparse
import sys
from html import escape
from pathlib import Path

from ifmmin.cli import project
from ifmmin.core.errors import UserError
from ifmmin.core.terms import METRICS
from ifmmin.corpus import features
from ifmmin.report import page, printed
from ifmmin.results import marks, notes, table1, tables
from ifmmin.settings import params

MISSING = (
    "{}: does not exist; expected the results of a run. Run `ifmmin run` or `dvc repro`, or `dvc pull` if a "
    "colleague ran it."
)


def main(args: argparse.Namespace) -> None:
    """Print Table 1."""
    root = project.root()
    sys.stdout.write(report(root) if args.format == "html" else text(root, args.format, args.metric))


def report(root: Path) -> str:
    """Return the report page with the commit, which metrics/report.html leaves out to keep its bytes.

    Raises:
        UserError: if there is no report.
    """
    path = root / project.options((root / "dvc.yaml").read_text("utf-8"), "report")["--out"]
    if not path.exists():
        raise UserError(MISSING.format(path))
    return path.read_text("utf-8").replace(escape(page.NO_COMMIT), escape(project.commit(root)))


def text(root: Path, form: str, metric: str) -> str:
    """Format Table 1 of a project.

    Args:
        root: folder of the project.
        form: text, markdown, latex or csv.
        metric: ua or wa.

    Raises:
        UserError: if a file of the results is missing.
    """
    paths = project.options((root / "dvc.yaml").read_text("utf-8"), "aggregate")
    settings = params.read(root / "params.yaml", "names", "comparison")
    try:
        table = tables.read(root / paths["--csv"], "table")
        corpus = features.read_corpus(root / paths["--features"])
        runs = tables.read_runs(root / paths["--runs"])
        tests = tables.read(root / paths["--significance"], "significance")
    except FileNotFoundError as error:
        raise UserError(MISSING.format(error.filename)) from error
    names, compared = settings["names"], settings["comparison"]
    references = marks.references(table["system"].unique(), **compared)
    if form == "csv":
        others = [m for m in METRICS if m != metric]
        return str(table.loc[:, ~table.columns.str.match("|".join(others))].to_csv(index=False))
    if form == "text":
        short = table1.notes(table.assign(wa_std=float("nan")), corpus, runs)  # it has no std to explain
        short = [notes.named(sentence, names) for sentence in short]
        return printed.text(table, names, references, short, score=metric, proposed=compared["proposed"])
    below = notes.below(table, corpus, runs, tests, compared, names)
    write = printed.markdown if form == "markdown" else printed.latex
    return write(table, names, references, below, [metric], plain=corpus["synthetic"])
