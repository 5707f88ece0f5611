"""Makes a pack of recordings: python stages/extract.py --transcripts FILE --audio DIR ... --out PACK.

Of a folder of recordings (--transcripts, --audio, --video), or of the IEMOCAP release (--iemocap). Acoustic
frames by openSMILE, visual ones by a plug-in (--visual), textual ones by a transformer in a local folder
(--encoder). Needs the packages of requirements-media.txt.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ifmmin import entry, files
from ifmmin.artifacts import raw, raw_targets
from ifmmin.errors import UserError
from ifmmin.media import extracting, folds, release, transcripts
from ifmmin.media.clips import Clip


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--transcripts", type=Path, metavar="FILE", help="CSV: utterance_id,text[,label][,speaker]"
    )
    source.add_argument(
        "--iemocap", type=Path, metavar="RELEASE", help="folder that has Session1 to Session5"
    )
    parser.add_argument("--audio", type=Path, metavar="DIR", help="folder of <utterance_id>.wav or .flac")
    parser.add_argument("--video", type=Path, metavar="DIR", help="folder of <utterance_id>.mp4 or .avi")
    parser.add_argument(
        "--encoder", type=Path, metavar="FOLDER", help="of the textual encoder; without, no texts"
    )
    parser.add_argument(
        "--visual",
        default="mini_xception",
        metavar="NAME",
        help="plug-in: mini_xception (default), module:factory, or none",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="PACK", help="folder to make")
    args = parser.parse_args(argv)
    if args.iemocap and (args.audio or args.video):
        parser.error("--audio and --video go with --transcripts; the release has its own folders")
    return args


def check(out: Path) -> None:
    """See that the pack has a place to go to, before hours of extraction."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out}: exists; expected the name of a new folder. Name another, or take it away.")


def targets(clips: Sequence[Clip]) -> raw_targets.Targets | None:
    """Labels and folds; None where there are no labels."""
    labels = {clip.utterance_id: clip.label for clip in clips if clip.label is not None}
    if not labels:
        return None
    classes = sorted(set(labels.values()))
    numbers = {utterance_id: classes.index(label) for utterance_id, label in labels.items()}
    return raw_targets.Targets(numbers, folds.over_speakers(clips), len(classes))


def main(argv: Sequence[str]) -> None:
    args = arguments(argv)
    check(args.out)
    with files.whole_folder(args.out, over=False) as folder:
        if args.iemocap:
            clips = release.read(args.iemocap)
        else:
            clips = transcripts.read(args.transcripts, args.audio, args.video)
        labelled = targets(clips)
        extractors = extracting.made(clips, encoder=args.encoder, visual=args.visual)
        description: dict[str, object] = {"extractors": extracting.names(extractors)}
        if labelled:
            raw_targets.write(folder, labelled)
            description["classes"] = sorted({clip.label for clip in clips if clip.label})
        raw.write(folder, extracting.corpus(clips, extractors), description)


if __name__ == "__main__":
    entry.run(main)
