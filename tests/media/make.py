"""Makes recordings that nobody has rights in, to try ifmmin extract on.

    DIR/audio/<utterance>.wav   speech by espeak-ng: a speaker is a voice, an emotion pitch, speed, sentences
    DIR/video/<utterance>.mp4   a drawn face, whose mouth and brows are the emotion; as long as the speech
    DIR/transcripts.csv         utterance_id, text, label, speaker
    DIR/encoder/                a BERT of two layers with random weights, as transformers saves one
    DIR/release/                with --iemocap, and in place of the first three: the same in the layout of the
                                IEMOCAP release, two sessions of two speakers

It shows that the way from recordings to a table works, and nothing about emotions. The same bytes each time.
"""

import argparse
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import soundfile
import torch
import transformers

VOICES = {"anna": ("en+f2", 60), "ben": ("en+m3", 30), "cleo": ("en-us+f4", 75), "dan": ("en-us+m1", 40)}
"""Speaker to voice and pitch (0 to 99) of espeak-ng."""

EMOTIONS = {
    "angry": (+10, 210, ("stop that right now", "you never listen to me", "leave me alone")),
    "happy": (+20, 190, ("that is wonderful news", "I am so glad you came", "we won the game")),
    "neutral": (0, 160, ("the train leaves at nine", "put it on the table", "it is the second door")),
    "sad": (-15, 120, ("I miss her every day", "nothing will be the same", "he is not coming back")),
}
"""Emotion to what it adds to the pitch, words a minute, and sentences."""

CODES = {"angry": "ang", "happy": "hap", "neutral": "neu", "sad": "sad"}
"""As IEMOCAP writes them."""

BROWS = {"angry": 9, "happy": -3, "neutral": 0, "sad": -9}
MOUTHS = {"angry": 3, "happy": 14, "neutral": 0, "sad": -14}
"""How far, in pixels, brows fall towards the nose and corners of the mouth rise."""

SIZE, PER_SECOND = 240, 25
"""Of a face's picture, in pixels; pictures a second of a video."""


class Said(NamedTuple):
    """What somebody says."""

    utterance_id: str
    text: str
    emotion: str
    speaker: str


def script(repeats: int) -> Iterator[Said]:
    """Each speaker says sentences of each emotion."""
    for speaker in VOICES:
        for emotion, (_, _, sentences) in EMOTIONS.items():
            for n in range(repeats):
                text = sentences[n % len(sentences)]
                yield Said(f"{speaker}_{emotion}{n + 1}", text, emotion, speaker)


def speak(path: Path, said: Said) -> float:
    """Write the speech of a sentence; its seconds."""
    voice, pitch = VOICES[said.speaker]
    more, speed, _ = EMOTIONS[said.emotion]
    path.parent.mkdir(parents=True, exist_ok=True)
    options = ["-v", voice, "-p", str(pitch + more), "-s", str(speed)]
    subprocess.run(["espeak-ng", *options, "-w", str(path), said.text], check=True)
    return soundfile.info(path).duration


def face(emotion: str, opened: float, shade: int) -> np.ndarray:
    """Draw a face, [SIZE, SIZE, 3] uint8, its mouth opened from 0 to 1."""
    x = np.full((SIZE, SIZE, 3), 200, np.uint8)
    skin, dark = (shade - 45, shade - 20, shade), (40, 40, 50)
    cv2.ellipse(x, (120, 92), (80, 84), 0, 0, 360, (30, 40, 60), -1)  # hair
    cv2.ellipse(x, (120, 125), (66, 88), 0, 0, 360, skin, -1)
    brow, mouth = BROWS[emotion], MOUTHS[emotion]
    for side in (-1, 1):
        eye = (120 + 29 * side, 108)
        cv2.ellipse(x, eye, (21, 13), 0, 0, 360, (shade - 110, shade - 90, shade - 70), -1)  # its hollow
        cv2.ellipse(x, eye, (13, 6), 0, 0, 360, (235, 235, 235), -1)
        cv2.circle(x, eye, 6, dark, -1)
        cv2.line(x, (120 + 12 * side, 90 + brow), (120 + 46 * side, 90 - brow), dark, 6)
    cv2.line(x, (120, 112), (120, 142), (shade - 25, shade, shade + 15), 9)  # the nose, in the light
    cv2.ellipse(x, (120, 146), (13, 5), 0, 0, 360, (shade - 90, shade - 70, shade - 50), -1)
    corners = np.array([(94, 176 - mouth), (120, 176), (146, 176 - mouth)], np.int32)
    cv2.fillPoly(x, [np.vstack([corners, [(120, 180 + int(14 * opened))]])], (60, 40, 130))
    cv2.polylines(x, [corners], False, (60, 50, 120), 4)
    return cv2.GaussianBlur(x, (7, 7), 0)


def pictures(said: Said, seconds: float) -> Iterator[np.ndarray]:
    """Draw a speaker for a while: speaking, and moving a little."""
    draw = np.random.default_rng(list(said.utterance_id.encode()))
    shade = 215 - 15 * list(VOICES).index(said.speaker)
    for n in range(max(1, round(seconds * PER_SECOND))):
        moved = np.float32([[1, 0, 4 * np.sin(n / 9) + draw.normal() / 3], [0, 1, 3 * np.cos(n / 7)]])
        x = face(said.emotion, 0.5 + 0.5 * np.sin(n / 1.7), shade)
        yield cv2.warpAffine(x, moved, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)


def film(path: Path, frames: Iterator[np.ndarray], width: int = SIZE) -> None:
    """Write pictures as a video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    code = cv2.VideoWriter.fourcc(*("XVID" if path.suffix == ".avi" else "mp4v"))
    video = cv2.VideoWriter(str(path), code, PER_SECOND, (width, SIZE))
    for x in frames:
        video.write(x)
    video.release()


def recordings(folder: Path, repeats: int) -> None:
    """Make a folder of recordings with its table of transcripts."""
    rows = [",".join(Said._fields).replace("emotion", "label")]
    for said in script(repeats):
        seconds = speak(folder / f"audio/{said.utterance_id}.wav", said)
        film(folder / f"video/{said.utterance_id}.mp4", pictures(said, seconds))
        rows.append(",".join(said))
    (folder / "transcripts.csv").write_text("\n".join(rows) + "\n", "utf-8")


def release(folder: Path) -> None:
    """Make a miniature of the IEMOCAP release: two sessions, a dialogue named after each speaker."""
    speakers = list(VOICES)
    for session in (1, 2):
        pair = dict(zip("FM", speakers[2 * session - 2 :][:2], strict=True))
        for named in "FM":
            dialogue(folder / f"Session{session}", f"Ses{session:02d}{named}_impro01", pair)


def dialogue(session: Path, name: str, pair: dict[str, str]) -> None:
    """Make a dialogue: both speakers say a sentence of each emotion, one after the other.

    The left half of the picture is of the speaker after whom it is named.
    """
    left, right = (pair["F"], pair["M"]) if name[5] == "F" else (pair["M"], pair["F"])
    evaluation, transcription, film_frames, start = ["% a note", ""], ["a turn: without an id"], [], 0.0
    for n, emotion in enumerate(EMOTIONS):
        for letter, speaker in pair.items():
            utterance_id = f"{name}_{letter}{n:03d}"
            said = Said(utterance_id, EMOTIONS[emotion][2][0], emotion, speaker)
            end = start + speak(session / f"sentences/wav/{name}/{utterance_id}.wav", said)
            evaluation.append(
                f"[{start:.4f} - {end:.4f}]\t{utterance_id}\t{CODES[emotion]}\t[2.5000, 2.5000, 2.5000]"
            )
            transcription.append(f"{utterance_id} [{start:08.4f}-{end:08.4f}]: {said.text}")
            faces = (pictures(said._replace(speaker=of), end - start) for of in (left, right))
            film_frames += [np.hstack(both) for both in zip(*faces, strict=True)]
            start = len(film_frames) / PER_SECOND
    evaluation.append(f"[{start:.4f} - {start + 1:.4f}]\t{name}_F099\txxx\t[2.5000, 2.5000, 2.5000]")
    for kind, lines in (("EmoEvaluation", evaluation), ("transcriptions", transcription)):
        path = session / "dialog" / kind / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", "latin-1")
    film(session / f"dialog/avi/DivX/{name}.avi", iter(film_frames), 2 * SIZE)


def encoder(folder: Path) -> None:
    """Make a small BERT with random weights; its word pieces are the words of the sentences, and letters."""
    words = {
        word.lower() for *_, sentences in EMOTIONS.values() for text in sentences for word in text.split()
    }
    letters = "abcdefghijklmnopqrstuvwxyz"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*special, *sorted(words | set(letters)), *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: n for n, piece in enumerate(pieces)}
    transformers.BertTokenizer(vocab=vocabulary, model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    transformers.utils.logging.disable_progress_bar()
    transformers.BertModel(config).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--iemocap", action="store_true", help="in the layout of the IEMOCAP release")
    parser.add_argument("--repeats", type=int, default=3, help="sentences of each emotion (3)")
    args = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        parser.error("espeak-ng is not there; to have it, apt-get install espeak-ng")
    encoder(args.out / "encoder")
    if args.iemocap:
        release(args.out / "release")
    else:
        recordings(args.out, args.repeats)


if __name__ == "__main__":
    main()
