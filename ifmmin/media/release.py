"""Reader of the IEMOCAP release.

    Session<s>/sentences/wav/<dialogue>/<utterance>.wav     audio of an utterance
    Session<s>/dialog/EmoEvaluation/<dialogue>.txt          [start - end] utterance emotion [v, a, d]; tabs
    Session<s>/dialog/transcriptions/<dialogue>.txt         utterance [start-end]: text
    Session<s>/dialog/avi/DivX/<dialogue>.avi               the whole dialogue, an actor in each half

The reader returns utterances of the paper's four classes, with excited merged into happy. It skips lines of
another form (notes, turns without an id) and hidden files (._*).

The release does not state which half of the picture shows which actor. Assumption: the left half shows the
actor who wears the markers, after whom the dialogue is named (Ses01F_impro01: the woman), as in
IoannisKansizoglou/Iemocap-preprocess. Other public code always places the woman on the left.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ifmmin.core.errors import UserError
from ifmmin.media.clips import Clip
from ifmmin.media.video import Video
from ifmmin.pack.ids import IEMOCAP_ID, speaker

EMOTIONS = {"ang": "angry", "hap": "happy", "exc": "happy", "neu": "neutral", "sad": "sad"}
TURN = re.compile(r"\[(\d+\.\d+) - (\d+\.\d+)\]\t(\w+)\t(\w+)\t\[")
TRANSCRIPT_LINE = re.compile(r"(\w+) \[[\d.]+ ?- ?[\d.]+\]: *(.*)")


def read(folder: Path) -> list[Clip]:
    """Find the utterances of a release.

    Returns:
        A clip for each utterance of the four classes, sorted by id; missing modalities are None.

    Raises:
        UserError: if there is no session, or no utterance of the four classes.
    """
    sessions = sorted(path for path in folder.glob("Session[1-5]") if path.is_dir())
    if not sessions:
        raise UserError(f"{folder}: has no folder Session1; expected the IEMOCAP release. Check --iemocap.")
    clips = [clip for session in sessions for clip in _clips(session)]
    if not clips:
        raise UserError(
            f"{folder}: lists no utterance of the four classes; expected "
            "Session<s>/dialog/EmoEvaluation/<dialogue>.txt with lines [start - end] utterance emotion [...]."
        )
    return sorted(clips, key=lambda clip: clip.utterance_id)


def _clips(session: Path) -> Iterator[Clip]:
    for path in _visible(session / "dialog/EmoEvaluation"):
        dialogue = path.stem
        texts = _texts(session / f"dialog/transcriptions/{dialogue}.txt")
        film = session / f"dialog/avi/DivX/{dialogue}.avi"
        for start, end, utterance_id, emotion in _turns(path):
            sound = session / f"sentences/wav/{dialogue}/{utterance_id}.wav"
            yield Clip(
                utterance_id,
                sound if sound.is_file() else None,
                Video(film, start, end, half(dialogue, utterance_id)) if film.is_file() else None,
                texts.get(utterance_id) or None,
                EMOTIONS[emotion],
                speaker(utterance_id),
            )


def half(dialogue: str, utterance_id: str) -> Literal["left", "right"]:
    """Return the half of the dialogue's picture that shows the speaker of an utterance."""
    return "left" if speaker(utterance_id) == dialogue[:6] else "right"


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.txt") if not path.name.startswith("."))


def _lines(path: Path) -> list[str]:
    return path.read_text("latin-1").splitlines() if path.is_file() else []


def _turns(path: Path) -> Iterator[tuple[float, float, str, str]]:
    """Read the utterances of the four classes from an evaluation file."""
    for match in filter(None, map(TURN.match, _lines(path))):
        start, end, utterance_id, emotion = match.groups()
        if emotion in EMOTIONS and IEMOCAP_ID.fullmatch(utterance_id):
            yield float(start), float(end), utterance_id, emotion


def _texts(path: Path) -> dict[str, str]:
    """Read transcripts: utterance id to text."""
    return {
        match[1]: match[2].strip() for match in filter(None, map(TRANSCRIPT_LINE.fullmatch, _lines(path)))
    }
