"""`ifmmin preset`: copies the values of presets/<name>.yaml into params.yaml and keeps its comments."""

import argparse

from ifmmin.cli import project
from ifmmin.core import entry
from ifmmin.core.errors import UserError
from ifmmin.settings import presets


def main(args: argparse.Namespace) -> None:
    """Apply the preset and log which values changed and which did not."""
    root = project.root()
    known = sorted(path.stem for path in (root / "presets").glob("*.yaml"))
    if args.name not in known:
        raise UserError(f"preset {args.name!r} does not exist; expected one of {', '.join(known)}.")
    changed, untouched = presets.apply(root / "params.yaml", root / "presets" / f"{args.name}.yaml")
    entry.log.info("params.yaml: preset %s, %d values changed", args.name, changed)
    entry.log.info("left as they are: %s", ", ".join(untouched))
