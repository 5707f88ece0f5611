"""Reads params.yaml (synthesize). Writes the embedded corpus as a pack in the MMIN layout."""

from collections.abc import Sequence

from ifmmin import entry, params, synthesis
from ifmmin.artifacts import raw, raw_targets
from ifmmin.terms import MODALITIES

PARAMS = ("synthesize",)


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, "--params", "--out")
    said, frames = synthesis.corpus(params.read(args.params, *PARAMS)["synthesize"])
    targets = raw_targets.Targets(
        dict(zip(said.ids, said.labels, strict=True)), synthesis.folds(said), len(synthesis.SHARES)
    )
    description = {
        "name": "embedded corpus",
        "classes": list(raw.IEMOCAP_CLASSES),
        "synthetic": True,
        "extractors": dict.fromkeys(MODALITIES, synthesis.GENERATOR),
    }
    raw.write(args.out, frames, description)
    raw_targets.write(args.out, targets)


if __name__ == "__main__":
    entry.run(main)
