"""Reads a pack in the MMIN layout, the whole of it, and refuses it with all its faults.

Writes data/features.
"""

from collections.abc import Sequence

from ifmmin import entry, indexing
from ifmmin.artifacts import features, raw, raw_targets
from ifmmin.files import ArtifactError
from ifmmin.terms import MODALITIES


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, "--pack", "--out")
    targets, faults = raw_targets.read(args.pack)
    ids = sorted(targets.ids)
    read = {m: raw.read_frames(args.pack, m, ids) for m in MODALITIES}
    corpus, about = raw.read_description(args.pack, ids, targets.n_classes)
    faults += about + [fault for _, found in read.values() for fault in found]
    if faults:
        raise ArtifactError("\n".join(faults))
    for m, (arrays, _) in read.items():
        features.write_frames(args.out, m, arrays)
    index = indexing.index(targets.labels, {m: arrays for m, (arrays, _) in read.items()})
    folds = indexing.pack_folds(targets.folds)
    features.write_tables(args.out, index, folds, corpus)
    sizes = {m: arrays[0].shape[1] for m, (arrays, _) in read.items()}
    for sentence in indexing.summary(index, folds, sizes, targets.n_classes):
        entry.log.info("%s", sentence)


if __name__ == "__main__":
    entry.run(main)
