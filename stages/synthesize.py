"""Reads params.yaml (synthesize). Writes the synthetic corpus as a feature pack in the MMIN layout."""

from collections.abc import Sequence

from ifmmin.core import entry
from ifmmin.core.terms import MODALITIES
from ifmmin.pack import raw, synthesis, target_files
from ifmmin.settings import params

PARAMS = ("synthesize",)


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, "--params", "--out")
    utterances, frames = synthesis.corpus(params.read(args.params, *PARAMS)["synthesize"])
    targets = target_files.Targets(
        dict(zip(utterances.ids, utterances.labels, strict=True)),
        synthesis.folds(utterances),
        len(synthesis.PROPORTIONS),
    )
    description = {
        "name": "synthetic corpus",
        "classes": list(raw.IEMOCAP_CLASSES),
        "synthetic": True,
        "extractors": dict.fromkeys(MODALITIES, synthesis.GENERATOR),
    }
    raw.write(args.out, frames, description)
    target_files.write(args.out, targets)


if __name__ == "__main__":
    entry.run(main)
