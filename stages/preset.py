"""Lays presets/<name>.yaml over params.yaml, keeping its comments.

To use one: `python stages/preset.py paper`, then `dvc repro`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ifmmin import entry, params, presets


def main(argv: Sequence[str]) -> None:
    known = sorted(path.stem for path in Path("presets").glob("*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=known, help="a file of the folder presets, without its ending")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args(argv)

    presets.apply(args.params, Path("presets") / f"{args.name}.yaml")
    params.read(args.params)


if __name__ == "__main__":
    entry.run(main)
