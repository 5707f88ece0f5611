"""A folder of recordings and a table of transcripts.

    FILE.csv                      utf-8; utterance_id, text and, optionally, label and speaker
    AUDIO/<utterance_id>.wav      or .flac
    VIDEO/<utterance_id>.mp4      or .avi

An utterance may lack audio, text or video, but not all of them. All errors are reported together.
"""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ifmmin.core.errors import UserError, one_line
from ifmmin.media.clips import Clip
from ifmmin.media.video import Video
from ifmmin.pack.ids import speaker

NEEDED, OPTIONAL = ("utterance_id", "text"), ("label", "speaker")
SOUND, PICTURES = (".wav", ".flac"), (".mp4", ".avi")
IDENTIFIER = re.compile(r"\w[\w.-]{0,99}")
LABEL = re.compile(r"[\w -]{1,40}")
SHOWN = 5


def read(path: Path, audio: Path | None, video: Path | None) -> list[Clip]:
    """Read the table and find the files of its utterances.

    Args:
        path: the table.
        audio: folder of audio files; None if there is none.
        video: folder of video files; None if there is none.

    Returns:
        A clip for each row, sorted by id.

    Raises:
        UserError: if the table is invalid, a folder is missing, or an utterance has no modality.
    """
    rows = _rows(path)
    ids = [row["utterance_id"] for row in rows]
    sounds, videos = _files_by_id(audio, SOUND, ids, "--audio"), _files_by_id(video, PICTURES, ids, "--video")
    clips = [
        Clip(
            utterance_id := row["utterance_id"],
            sounds.get(utterance_id),
            Video(videos[utterance_id]) if utterance_id in videos else None,
            row["text"].strip() or None,
            row.get("label"),
            row.get("speaker") or speaker(utterance_id),
        )
        for row in sorted(rows, key=lambda row: row["utterance_id"])
    ]
    empty = [clip.utterance_id for clip in clips if not (clip.a or clip.v or clip.t)]
    if empty:
        raise UserError(
            f"{path}: no audio, video or text was found for {listed(empty, len(clips))}; "
            "expected at least one. Check the names of the files."
        )
    return clips


def listed(names: Sequence[str], total: int) -> str:
    """Format the number of utterances and the first few names."""
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names)} of {total} utterances ({', '.join(names[:SHOWN])}{more})"


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            columns, rows = list(table.fieldnames or ()), list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path}: not readable as a table ({one_line(error)}); expected CSV in utf-8."
        ) from error
    if (
        not set(NEEDED) <= set(columns)
        or set(columns) - {*NEEDED, *OPTIONAL}
        or len(set(columns)) < len(columns)
    ):
        raise UserError(
            f"{path}: columns are {columns}; "
            f"expected {', '.join(NEEDED)} and, if known, {', '.join(OPTIONAL)}."
        )
    faults = [] if rows else [f"{path}: has no rows; expected one for each utterance."]
    for n, row in enumerate(rows, 2):
        faults += [f"{path}, row {n}: {fault}" for fault in _faults(row, columns)]
    repeated = [name for name, count in Counter(row["utterance_id"] for row in rows).items() if count > 1]
    faults += [f"{path}: utterance {name!r} occurs more than once; expected once." for name in repeated]
    if rows and "label" in columns and len({row["label"] for row in rows}) < 2:
        faults.append(f"{path}: all labels are the same; expected at least two classes, or no label column.")
    if faults:
        raise UserError("\n".join(faults))
    return rows


def _faults(row: Mapping[str, str], columns: Sequence[str]) -> list[str]:
    """List the errors of a row."""
    if None in row or None in row.values():
        return [
            f"number of cells differs from the header; expected {len(columns)}. Put texts that contain "
            "commas in quotes."
        ]
    faults = []
    if not IDENTIFIER.fullmatch(row["utterance_id"]):
        faults.append(
            f"utterance_id is {row['utterance_id']!r}; expected at most 100 letters, digits, _, - and ., "
            "starting with a letter, a digit or _."
        )
    if "label" in columns and not LABEL.fullmatch(row["label"]):
        faults.append(
            f"label is {row['label']!r}; expected 1 to 40 letters, digits, spaces, - or _ in every row, "
            "or no label column."
        )
    return faults


def _files_by_id(
    folder: Path | None, endings: Sequence[str], ids: Sequence[str], option: str
) -> dict[str, Path]:
    """Find the file of each utterance that has one."""
    if folder is None:
        return {}
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the recordings. Check {option}.")
    files = {path.name: path for path in folder.iterdir() if path.is_file()}
    paths = {
        name: next(files[name + ending] for ending in endings if name + ending in files)
        for name in ids
        if any(name + ending in files for ending in endings)
    }
    if not paths:
        raise UserError(
            f"{folder}: holds no file of any utterance; expected <utterance_id>{' or '.join(endings)}. "
            f"Check {option}."
        )
    return paths
