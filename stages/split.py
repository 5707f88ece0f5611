"""Reads data/features and params.yaml (folds, split). Writes each fold's roles and its acoustic scaling."""

from collections.abc import Sequence

from ifmmin import entry, params, splitting
from ifmmin.artifacts import features, folds, scalings
from ifmmin.files import ArtifactError

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
