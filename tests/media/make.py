"""Generates recordings without copyright, for trying `ifmmin extract`.

    DIR/audio/<utterance>.wav   speech by espeak-ng; speakers differ in voice, emotions in pitch, speed, text
    DIR/video/<utterance>.mp4   a drawn face whose mouth and brows show the emotion; as long as the speech
    DIR/transcripts.csv         utterance_id, text, label, speaker
    DIR/encoder/                a BERT of two layers with random weights, as transformers saves one
    DIR/release/                with --iemocap, instead of the first three: the layout of the IEMOCAP release,
                                two sessions of two speakers

The recordings show that the pipeline works; they say nothing about emotions. Every run writes the same bytes.
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
"""Emotion to change of pitch, words per minute, and sentences."""

CODES = {"angry": "ang", "happy": "hap", "neutral": "neu", "sad": "sad"}
"""Emotion to IEMOCAP's code."""

BROWS = {"angry": 9, "happy": -3, "neutral": 0, "sad": -9}
MOUTHS = {"angry": 3, "happy": 14, "neutral": 0, "sad": -14}
"""How many pixels the brows fall towards the nose and the corners of the mouth rise."""

SIZE, PER_SECOND = 240, 25
"""Width and height of a face image in pixels; images per second."""


class Sentence(NamedTuple):
    """A sentence that a speaker says."""

    utterance_id: str
    text: str
    emotion: str
    speaker: str


def script(repeats: int) -> Iterator[Sentence]:
    """Sentences of each speaker in each emotion."""
    for speaker in VOICES:
        for emotion, (_, _, sentences) in EMOTIONS.items():
            for n in range(repeats):
                text = sentences[n % len(sentences)]
                yield Sentence(f"{speaker}_{emotion}{n + 1}", text, emotion, speaker)


def speak(path: Path, sentence: Sentence) -> float:
    """Write the speech of a sentence and return its seconds."""
    voice, pitch = VOICES[sentence.speaker]
    pitch_change, speed, _ = EMOTIONS[sentence.emotion]
    path.parent.mkdir(parents=True, exist_ok=True)
    options = ["-v", voice, "-p", str(pitch + pitch_change), "-s", str(speed)]
    subprocess.run(["espeak-ng", *options, "-w", str(path), sentence.text], check=True)
    return soundfile.info(path).duration


def face(emotion: str, opened: float, shade: int) -> np.ndarray:
    """Draw a face, [SIZE, SIZE, 3] uint8; `opened` (0 to 1) is the mouth."""
    x = np.full((SIZE, SIZE, 3), 200, np.uint8)
    skin, dark = (shade - 45, shade - 20, shade), (40, 40, 50)
    cv2.ellipse(x, (120, 92), (80, 84), 0, 0, 360, (30, 40, 60), -1)  # hair
    cv2.ellipse(x, (120, 125), (66, 88), 0, 0, 360, skin, -1)
    brow, mouth = BROWS[emotion], MOUTHS[emotion]
    for side in (-1, 1):
        eye = (120 + 29 * side, 108)
        cv2.ellipse(x, eye, (21, 13), 0, 0, 360, (shade - 110, shade - 90, shade - 70), -1)  # the eye socket
        cv2.ellipse(x, eye, (13, 6), 0, 0, 360, (235, 235, 235), -1)
        cv2.circle(x, eye, 6, dark, -1)
        cv2.line(x, (120 + 12 * side, 90 + brow), (120 + 46 * side, 90 - brow), dark, 6)
    cv2.line(x, (120, 112), (120, 142), (shade - 25, shade, shade + 15), 9)  # the lit nose
    cv2.ellipse(x, (120, 146), (13, 5), 0, 0, 360, (shade - 90, shade - 70, shade - 50), -1)
    corners = np.array([(94, 176 - mouth), (120, 176), (146, 176 - mouth)], np.int32)
    cv2.fillPoly(x, [np.vstack([corners, [(120, 180 + int(14 * opened))]])], (60, 40, 130))
    cv2.polylines(x, [corners], False, (60, 50, 120), 4)
    return cv2.GaussianBlur(x, (7, 7), 0)


def pictures(sentence: Sentence, seconds: float) -> Iterator[np.ndarray]:
    """Draw a speaker who talks and moves a little."""
    generator = np.random.default_rng(list(sentence.utterance_id.encode()))
    shade = 215 - 15 * list(VOICES).index(sentence.speaker)
    for n in range(max(1, round(seconds * PER_SECOND))):
        motion = np.float32([[1, 0, 4 * np.sin(n / 9) + generator.normal() / 3], [0, 1, 3 * np.cos(n / 7)]])
        x = face(sentence.emotion, 0.5 + 0.5 * np.sin(n / 1.7), shade)
        yield cv2.warpAffine(x, motion, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)


def film(path: Path, frames: Iterator[np.ndarray], width: int = SIZE) -> None:
    """Write images as a video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = cv2.VideoWriter.fourcc(*("XVID" if path.suffix == ".avi" else "mp4v"))
    video = cv2.VideoWriter(str(path), codec, PER_SECOND, (width, SIZE))
    for x in frames:
        video.write(x)
    video.release()


def recordings(folder: Path, repeats: int) -> None:
    """Write a folder of recordings with a table of transcripts."""
    rows = [",".join(Sentence._fields).replace("emotion", "label")]
    for sentence in script(repeats):
        seconds = speak(folder / f"audio/{sentence.utterance_id}.wav", sentence)
        film(folder / f"video/{sentence.utterance_id}.mp4", pictures(sentence, seconds))
        rows.append(",".join(sentence))
    (folder / "transcripts.csv").write_text("\n".join(rows) + "\n", "utf-8")


def release(folder: Path) -> None:
    """Write a small version of the IEMOCAP release: two sessions with a dialogue per speaker."""
    speakers = list(VOICES)
    for session in (1, 2):
        pair = dict(zip("FM", speakers[2 * session - 2 :][:2], strict=True))
        for named in "FM":
            dialogue(folder / f"Session{session}", f"Ses{session:02d}{named}_impro01", pair)


def dialogue(session: Path, name: str, pair: dict[str, str]) -> None:
    """Write a dialogue: both speakers take turns with a sentence of each emotion.

    The speaker in the left half of the picture gives the dialogue its name.
    """
    left, right = (pair["F"], pair["M"]) if name[5] == "F" else (pair["M"], pair["F"])
    evaluation, transcription, film_frames, start = ["% a note", ""], ["a turn: without an id"], [], 0.0
    for n, emotion in enumerate(EMOTIONS):
        for letter, speaker in pair.items():
            utterance_id = f"{name}_{letter}{n:03d}"
            sentence = Sentence(utterance_id, EMOTIONS[emotion][2][0], emotion, speaker)
            end = start + speak(session / f"sentences/wav/{name}/{utterance_id}.wav", sentence)
            evaluation.append(
                f"[{start:.4f} - {end:.4f}]\t{utterance_id}\t{CODES[emotion]}\t[2.5000, 2.5000, 2.5000]"
            )
            transcription.append(f"{utterance_id} [{start:08.4f}-{end:08.4f}]: {sentence.text}")
            faces = (pictures(sentence._replace(speaker=visible), end - start) for visible in (left, right))
            film_frames += [np.hstack(both) for both in zip(*faces, strict=True)]
            start = len(film_frames) / PER_SECOND
    evaluation.append(f"[{start:.4f} - {start + 1:.4f}]\t{name}_F099\txxx\t[2.5000, 2.5000, 2.5000]")
    for kind, lines in (("EmoEvaluation", evaluation), ("transcriptions", transcription)):
        path = session / "dialog" / kind / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", "latin-1")
    film(session / f"dialog/avi/DivX/{name}.avi", iter(film_frames), 2 * SIZE)


def encoder(folder: Path) -> None:
    """Write a small BERT with random weights; its word pieces are letters and the words of the sentences."""
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
    parser.add_argument("--repeats", type=int, default=3, help="sentences per speaker and emotion (3)")
    args = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        parser.error("espeak-ng is not installed; run apt-get install espeak-ng")
    encoder(args.out / "encoder")
    if args.iemocap:
        release(args.out / "release")
    else:
        recordings(args.out, args.repeats)


if __name__ == "__main__":
    main()
