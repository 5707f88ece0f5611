"""Lays presets/<name>.yaml over params.yaml; comments and the keys that the preset does not name stay.

To use one: `python stages/preset.py paper`, then `dvc repro`.
"""

import argparse
from collections.abc import Sequence

from ifmmin import entry, presets, project


def main(argv: Sequence[str]) -> None:
    root = project.root()
    folder, params = root / "presets", root / "params.yaml"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=known, help="a file of the folder presets, without its ending")
    args = parser.parse_args(argv)

    changed, untouched = presets.apply(params, folder / f"{args.name}.yaml")
    entry.log.info("params.yaml: preset %s, %d values changed", args.name, changed)
    entry.log.info("left as they are: %s", ", ".join(untouched))


if __name__ == "__main__":
    entry.run(main)
