"""From recordings to the emotion of a clip, with the commands of docs/predict.md on the small project."""

import re
import shlex
import shutil
import sys

import pandas as pd
import pytest

from pipeline.conftest import ROOT

pytest.importorskip("opensmile", reason="the packages of requirements-media.txt are not installed")
pytest.importorskip("transformers", reason="the packages of requirements-media.txt are not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"),
]


COMMANDS = """
python tests/media/make.py --out ../made
python -m ifmmin extract --audio ../made/audio --video ../made/video --transcripts ../made/transcripts.csv
  --encoder ../made/encoder --out ../made/pack
dvc exp run -S corpus=../made/pack aggregate
python -m ifmmin predict --model data/models/if_mmin --encoder ../made/encoder
  --audio ../made/audio/anna_happy1.wav --text "that is wonderful news"
"""


def commands():
    return [shlex.split(line) for line in COMMANDS.replace("\n  ", " ").strip().splitlines()]


def test_the_commands_are_those_of_the_page():
    page = (ROOT / "docs/predict.md").read_text("utf-8")
    block = page.split("<!-- run by: tests/pipeline/test_clip.py -->\n```console\n")[1].split("```")[0]

    assert [shlex.split(line) for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE)] == commands()


def test_a_model_predicts_a_clip_without_video_if_the_extractors_match(project):
    runs = [
        project.run(*(sys.executable if word == "python" else word for word in words)) for words in commands()
    ]

    header, line = runs[-1].stdout.splitlines()
    assert header.split() == ["utterance_id", "condition", "emotion", "angry", "happy", "neutral", "sad"]
    utterance_id, condition, emotion, *percentages = line.replace(" %", "").split()
    assert (utterance_id, condition) == ("anna_happy1", "at")
    assert sum(map(float, percentages)) == pytest.approx(100, abs=0.3)
    assert emotion == header.split()[3:][max(range(4), key=lambda k: float(percentages[k]))]

    predict = ["-m", "ifmmin", "predict", "--model", "data/models/if_mmin"]
    recordings = project.folder.parent / "made"
    project.run(
        sys.executable, *predict, "--input", str(recordings / "pack"), "--condition", "at", "--out", "e.csv"
    )
    of_the_pack = pd.read_csv(project.folder / "e.csv", index_col="utterance_id").loc["anna_happy1"]
    assert [float(x) for x in percentages] == pytest.approx(list(of_the_pack.iloc[2:] * 100), abs=0.06)

    pack = recordings / "pack" / "pack.json"
    pack.write_text(pack.read_text("utf-8").replace("opensmile ", "opensmile 0"), "utf-8")
    refused = project.run(sys.executable, *predict, "--input", str(recordings / "pack"), check=False)
    assert refused.returncode == 1
    assert "was trained on acoustic features from opensmile " in refused.stderr
