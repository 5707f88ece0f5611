"""Lays presets/<name>.yaml over params.yaml, keeping its comments.

To use one: `python stages/preset.py paper`, then `dvc repro`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ifmmin import entry, presets

FOLDER = Path(__file__).parents[1] / "presets"


def main(argv: Sequence[str]) -> None:
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=known, help="a file of the folder presets, without its ending")
    parser.add_argument("--params", type=Path, default=FOLDER.with_name("params.yaml"))
    args = parser.parse_args(argv)

    presets.apply(args.params, FOLDER / f"{args.name}.yaml")


if __name__ == "__main__":
    entry.run(main)
