"""`ifmmin records`: shows run time, memory and hardware of each stage and system, from logs/.

Each record describes a stage's last run on this machine; a stage restored from the cache has no record.
"""

import argparse

from rich import box
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from ifmmin.cli import project
from ifmmin.core.errors import UserError
from ifmmin.parallel import costs, records


def main(args: argparse.Namespace) -> None:
    """Print the table."""
    root = project.root()
    logs = args.logs or root / "logs"
    stages = YAML(typ="safe", pure=True).load((root / "dvc.yaml").read_text("utf-8"))["stages"]
    summary = costs.summed(records.read(logs), stages)
    if summary.empty:
        raise UserError(f"{logs}: no record of a stage; expected records of a run. Run dvc repro.")
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
