"""Predictions of emotions as they are written and printed."""

import pandas as pd
import pytest

from ifmmin.core.files import ArtifactError
from ifmmin.deploy import emotions

PREDICTIONS = pd.DataFrame(
    {
        "utterance_id": ["x_1", "x_2", "λ"],
        "condition": ["a", "avt", "vt"],
        "emotion": ["sad", "angry", "sad"],
        "p_angry": [0.25, 0.9, 0.1234],
        "p_sad": [0.75, 0.1, 0.8766],
    }
)


@pytest.mark.parametrize(("name", "read"), [("e.csv", pd.read_csv), ("e.parquet", pd.read_parquet)])
def test_predictions_read_back_the_same(tmp_path, name, read):
    emotions.check(tmp_path / name)

    emotions.write(tmp_path / name, PREDICTIONS)

    pd.testing.assert_frame_equal(read(tmp_path / name), PREDICTIONS)


@pytest.mark.parametrize(
    ("name", "message"), [("e.xlsx", r"extension is \.xlsx"), ("e", "no file name extension")]
)
def test_another_format_is_refused(tmp_path, name, message):
    with pytest.raises(ArtifactError, match=message + r"; expected \.parquet or \.csv"):
        emotions.check(tmp_path / name)


def test_the_first_rows_are_printed_in_percent_and_the_others_counted():
    lines = emotions.text(PREDICTIONS, 2).splitlines()

    assert lines[0].split() == ["utterance_id", "condition", "emotion", "angry", "sad"]
    assert lines[2].split() == ["x_2", "avt", "angry", "90.0", "%", "10.0", "%"]
    assert lines[3:] == ["... and 1 more"]
    assert emotions.text(PREDICTIONS, 3).splitlines()[3].split()[-2:] == ["87.7", "%"]


@pytest.mark.parametrize("p", [[0.5, 0.6], [1.5, -0.5], [float("nan"), 1.0]])
def test_invalid_probabilities_are_not_written(tmp_path, p):
    with pytest.raises(ArtifactError, match="probabilities are invalid; expected values from 0 to 1"):
        emotions.write(tmp_path / "e.csv", PREDICTIONS.assign(p_angry=p[0], p_sad=p[1]))

    assert list(tmp_path.iterdir()) == []
