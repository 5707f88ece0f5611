"""Reads a feature pack in the MMIN layout and stops with a list of all its errors if it is invalid.

Writes data/features.
"""

from collections.abc import Sequence

from ifmmin.core import entry
from ifmmin.core.files import ArtifactError
from ifmmin.core.terms import MODALITIES
from ifmmin.corpus import features
from ifmmin.pack import indexing, raw, target_files


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, "--pack", "--out")
    targets, faults = target_files.read(args.pack)
    ids = sorted(targets.ids)
    frames = {m: raw.read_frames(args.pack, m, ids) for m in MODALITIES}
    corpus, description_faults = raw.read_description(args.pack, ids, targets.n_classes)
    faults += description_faults + [fault for _, frame_faults in frames.values() for fault in frame_faults]
    if faults:
        raise ArtifactError("\n".join(faults))
    for m, (arrays, _) in frames.items():
        features.write_frames(args.out, m, arrays)
    index = indexing.index(targets.labels, {m: arrays for m, (arrays, _) in frames.items()})
    folds = indexing.pack_folds(targets.folds)
    features.write_tables(args.out, index, folds, corpus)
    sizes = {m: arrays[0].shape[1] for m, (arrays, _) in frames.items()}
    for sentence in indexing.summary(index, folds, sizes, targets.n_classes):
        entry.log.info("%s", sentence)


if __name__ == "__main__":
    entry.run(main)
