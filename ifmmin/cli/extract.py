"""`ifmmin extract`: extracts a feature pack from a folder of recordings or from the IEMOCAP release.

openSMILE extracts acoustic features, a plug-in (--visual) visual features, and a transformer in a local
folder (--encoder) textual features. The command needs the packages of requirements-media.txt.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ifmmin.core import files
from ifmmin.core.errors import UserError
from ifmmin.media import extracting, folds, release, transcripts
from ifmmin.media.clips import Clip
from ifmmin.pack import raw, target_files


def check(out: Path) -> None:
    """Check the output folder before hours of extraction.

    Raises:
        UserError: if it is a file, or a folder that is not empty.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out}: exists; expected a new or empty folder. Pass another, or delete it.")


def targets(clips: Sequence[Clip]) -> target_files.Targets | None:
    """Build labels and folds; None if there are no labels."""
    labels = {clip.utterance_id: clip.label for clip in clips if clip.label is not None}
    if not labels:
        return None
    classes = sorted(set(labels.values()))
    numbers = {utterance_id: classes.index(label) for utterance_id, label in labels.items()}
    return target_files.Targets(numbers, folds.over_speakers(clips), len(classes))


def main(args: argparse.Namespace) -> None:
    """Extract the features and write the pack atomically."""
    check(args.out)
    with files.atomic_folder(args.out, over=False) as folder:
        if args.iemocap:
            clips = release.read(args.iemocap)
        else:
            clips = transcripts.read(args.transcripts, args.audio, args.video)
        labelled = targets(clips)
        extractors = extracting.build_extractors(clips, encoder=args.encoder, visual=args.visual)
        description: dict[str, object] = {"extractors": extracting.names(extractors)}
        if labelled:
            target_files.write(folder, labelled)
            description["classes"] = sorted({clip.label for clip in clips if clip.label})
        raw.write(folder, extracting.corpus(clips, extractors), description)
