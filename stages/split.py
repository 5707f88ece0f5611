"""Reads data/features and params.yaml (folds, split).

Writes the train, validation and test roles and the acoustic scaling of each fold.
"""

from collections.abc import Sequence

from ifmmin.core import entry
from ifmmin.core.files import ArtifactError
from ifmmin.corpus import features, folds, scalings, splitting
from ifmmin.settings import params

PARAMS = ("folds", "split")


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, "--params", "--features", "--out")
    settings = params.read(args.params, *PARAMS)
    index, corpus = features.read_index(args.features), features.read_corpus(args.features)
    plan = splitting.plan(
        index,
        features.read_pack_folds(args.features),
        settings["folds"],
        corpus,
        folds_from=settings["split"]["folds_from"],
    )
    for warning in plan.warnings:
        entry.log.warning("warning: %s", warning)
    if plan.faults:
        raise ArtifactError("\n".join(plan.faults))
    acoustic = features.read_frames(args.features, "a")
    for fold, roles in plan.roles.items():
        folds.write(args.out / f"{fold}.parquet", roles)
        scalings.write(args.out / f"{fold}_scaling.json", *splitting.fit_scaling(acoustic, index, roles))


if __name__ == "__main__":
    entry.run(main)
