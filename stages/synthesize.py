"""Reads params.yaml (synthesize). Writes the embedded corpus as a pack in the MMIN layout."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ifmmin import entry, params, synthesis
from ifmmin.artifacts import raw

PARAMS = ("synthesize",)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)

    said, frames = synthesis.corpus(params.read(args.params, *PARAMS)["synthesize"])
    targets = raw.Targets(
        dict(zip(said.ids, said.labels, strict=True)), synthesis.folds(said), len(synthesis.SHARES)
    )
    description = {"name": "embedded corpus", "classes": list(raw.IEMOCAP_CLASSES), "synthetic": True}
    raw.write(args.out, frames, targets, description)


if __name__ == "__main__":
    entry.run(main)
