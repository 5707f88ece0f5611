"""Prints where the time went: seconds and memory of each stage and system, from logs/, and on what they ran.

They are of each stage's last run on this machine; what came from the cache cost nothing and has no record.
"""

import ifmmin  # noqa: F401, I001 - refuses an old Python before the imports below fail on it

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from ifmmin import costs, entry, project
from ifmmin.artifacts import records
from ifmmin.errors import UserError


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=Path, help="folder of the records (default: logs of the project)")
    args = parser.parse_args(argv)
    root = project.root()
    logs = args.logs or root / "logs"
    stages = YAML(typ="safe", pure=True).load((root / "dvc.yaml").read_text("utf-8"))["stages"]
    summary = costs.summed(records.read(logs), stages)
    if summary.empty:
        raise UserError(f"{logs}: no record of a stage; expected those of a run. Run dvc repro.")
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{summary['runs'].sum()} stages, {summary['seconds'].sum():.0f} s",
        caption="\n".join(sorted({where for several in summary["where"] for where in several.split("; ")})),
    )
    table.add_column("stage", no_wrap=True)
    for head in ("runs", "seconds", "share", "longest", "GB"):
        table.add_column(head, justify="right", no_wrap=True)
    for what, runs, seconds, share, longest, peak, _ in summary.itertuples(index=False):
        memory = f"{peak / 2**30:.2f}"
        table.add_row(what, str(runs), f"{seconds:.1f}", f"{share:.0%}", f"{longest:.1f}", memory)
    Console().print(table)


if __name__ == "__main__":
    entry.run(main)
