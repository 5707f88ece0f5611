"""`ifmmin run`: runs the stages of dvc.yaml on several workers, with the same result as `dvc repro`."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ifmmin.cli import project
from ifmmin.core import entry
from ifmmin.core.errors import UserError
from ifmmin.parallel import clusters, locks, options
from ifmmin.parallel.display import Display
from ifmmin.parallel.driving import Driver, Estimates, dry_run
from ifmmin.parallel.workspace import Workspace
from ifmmin.settings import params, preflight
from ifmmin.tracking import trackers

UP_TO_DATE = ("ran", "restored", "unchanged")
"""Outcomes of a stage whose outputs are those of params.yaml."""


def enter_project() -> dict[str, Any]:
    """Change to the project's folder, which also receives the record of this run, and read params.yaml."""
    os.chdir(root := project.root())
    os.environ[entry.ROOT] = str(root)
    project.check_merged(root)
    return params.read(Path("params.yaml"), *preflight.PARAMS, "pretrain", "train")


def run(driver: Driver, display: Display, targets: Sequence[str]) -> None:
    """Run the stages that the targets need and print a summary, even after an interrupt."""
    try:
        with display:
            driver.run(targets)
    except KeyboardInterrupt:
        display.say(
            f"interrupted: {display.summary(driver)}. Run the same command again to continue.", "bold"
        )
        raise
    display.table(driver)
    if project.results_differ(Path.cwd()):
        display.say(project.DIFFER)


def print_results(root: Path, outcomes: Mapping[str, str]) -> None:
    """Print Table 1 and name the other results, if this run brought them up to date."""
    done = {name.rpartition(":")[2] for name, outcome in outcomes.items() if outcome in UP_TO_DATE}
    dvc_yaml = (root / "dvc.yaml").read_text("utf-8")
    paths = project.options(dvc_yaml, "aggregate")
    if "aggregate" not in done or "--csv" not in paths:
        return
    from ifmmin.cli import results  # only now, as it takes a second that a run without a table need not wait

    page = project.options(dvc_yaml, "report")["--out"] if "report" in done else None
    files = ", ".join(filter(None, (page, paths["--markdown"], paths["--latex"], paths["--significance"])))
    sys.stdout.write(f"\n{results.text(root, 'text', 'ua')}\nMore: {files}\n")


def main(args: argparse.Namespace) -> dict[str, Any]:
    """Run the targets, or print the stages that would run."""
    settings = enter_project()
    threads = max(settings[group]["threads"] for group in ("pretrain", "train"))
    workspace = Workspace(threads)
    trackers.selected()  # a wrong value fails here, not in the first training
    preflight.check(settings, Path("dvc.yaml"), workspace.needed(args.targets))
    if args.dry:
        sys.stdout.writelines(f"{line}\n" for line in dry_run(workspace, args.targets))
        return {}
    display = Display(workspace.logs)
    workers = clusters.Workers(
        partial(options.client, args, threads, display.say, workspace.logs), warm=not args.cold
    )
    driver = Driver(workspace, workers, display, Estimates(workspace.logs), keep_going=args.keep_going)
    with locks.driver_lock(workspace.tmp / "run.lock"), workers:
        workspace.release_stale_locks()
        run(driver, display, args.targets)
        facts = {"workers": workers.capacity(), "threads": threads, "warm": not args.cold}
    if failed := [name for name, outcome in driver.outcomes.items() if outcome == "failed"]:
        raise UserError(
            f"{len(failed)} of {driver.total} stages failed: {', '.join(failed)}. See {workspace.logs}."
        )
    print_results(Path.cwd(), driver.outcomes)
    return facts
