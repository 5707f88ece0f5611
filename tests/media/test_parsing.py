"""Tables of transcripts, the IEMOCAP release, and folds over speakers; these need no extra packages."""

import re

import pytest

from ifmmin.core.errors import UserError
from ifmmin.media import folds, release, transcripts
from ifmmin.media.clips import Clip
from ifmmin.media.video import Video


@pytest.fixture
def read_table(tmp_path):
    """A function that writes and reads a table; there is audio of a_1 and b_1 and a video of b_1."""
    for name in ("audio/a_1.wav", "audio/b_1.flac", "audio/other.wav", "video/b_1.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def read(content, audio="audio", video="video"):
        path = tmp_path / "transcripts.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return transcripts.read(path, *(folder and tmp_path / folder for folder in (audio, video)))

    return read


def test_each_utterance_has_the_modalities_that_exist(read_table, tmp_path):
    clips = read_table('utterance_id,text\nb_1,"no, never"\na_1,\nc_1, a word \n')

    assert clips == [
        Clip("a_1", a=tmp_path / "audio/a_1.wav", speaker="a"),
        Clip("b_1", tmp_path / "audio/b_1.flac", Video(tmp_path / "video/b_1.avi"), "no, never", speaker="b"),
        Clip("c_1", t="a word", speaker="c"),
    ]


def test_label_and_speaker_come_from_the_table(read_table):
    clips = read_table("\ufeffspeaker,label,text,utterance_id\nEve,sad,x,a_1\nAdam,so so,y,b_1\n")

    assert [(c.label, c.speaker) for c in clips] == [("sad", "Eve"), ("so so", "Adam")]


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("", "columns are []"),
        ("id,text\na_1,x\n", "columns are ['id', 'text']"),
        ("utterance_id,text,lable\na_1,x,sad\n", "'lable'"),
        ("utterance_id,text,text\na_1,x,y\n", "columns are"),
        ("utterance_id,text\n", "has no rows"),
        ("utterance_id,text\na_1,no, never\n", "row 2: number of cells differs"),
        ("utterance_id,text\na_1\n", "row 2: number of cells differs"),
        ("utterance_id,text\n../a_1,x\n", "utterance_id is '../a_1'"),
        ("utterance_id,text\n,x\n", "utterance_id is ''"),
        ("utterance_id,text\na_1,x\na_1,y\n", "'a_1' occurs more than once"),
        ("utterance_id,text,label\na_1,x,sad\nb_1,y,\n", "row 3: label is ''"),
        ("utterance_id,text,label\na_1,x,sad\nb_1,y,sad\n", "all labels are the same"),
        (b"utterance_id,text\na_1,caf\xe9\n", "expected CSV in utf-8"),
        ('utterance_id,text\na_1,"x\n', "not readable as a table"),
    ],
)
def test_a_table_that_breaks_a_rule_is_named(read_table, tmp_path, content, shown):
    with pytest.raises(UserError, match=re.escape(shown)) as caught:
        read_table(content)

    assert str(tmp_path / "transcripts.csv") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_all_faults_of_a_table_are_reported_at_once(read_table):
    with pytest.raises(UserError, match="row 2") as caught:
        read_table("utterance_id,text\n/,x\nb_1,x\nb_1,x\n..,x\n")

    assert len(str(caught.value).splitlines()) == 3


def test_an_utterance_without_any_modality_is_named(read_table):
    with pytest.raises(
        UserError, match=re.escape("no audio, video or text was found for 1 of 2 utterances (c_1)")
    ):
        read_table("utterance_id,text\na_1,\nc_1,\n", video=None)


def test_a_missing_folder_is_named(read_table, tmp_path):
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'adio'}: no such folder")):
        read_table("utterance_id,text\na_1,x\n", audio="adio")


def test_a_folder_without_a_file_of_any_utterance_is_named(read_table, tmp_path):
    expected = f"{tmp_path / 'audio'}: holds no file of any utterance; expected <utterance_id>.mp4 or .avi."
    with pytest.raises(UserError, match=re.escape(expected)):
        read_table("utterance_id,text\na_1,x\n", video="audio")


# The IEMOCAP release.

DIALOGUE = "Ses02M_impro03"
EVALUATION = (
    "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
    f"[6.2901 - 8.2357]\t{DIALOGUE}_M000\texc\t[2.5000, 2.5000, 2.5000]\n"
    "C-E2:\tExcited;\t()\n\n"
    f"[10.0100 - 11.3925]\t{DIALOGUE}_F001\tsad\t[2.5000, 2.5000, 2.5000]\n"
    f"[12.0000 - 13.0000]\t{DIALOGUE}_F002\txxx\t[2.5000, 2.5000, 2.5000]\n"
    f"[14.0000 - 15.0000]\t{DIALOGUE}_F003\tfru\t[2.5000, 2.5000, 2.5000]\n"
)
TRANSCRIPTION = (
    f"{DIALOGUE}_M000 [006.2901-008.2357]: A café: yes.\n"
    "M: no id\n"
    f"{DIALOGUE}_FXX1 [009.0000-009.5000]: [BREATHING]\n"
    f"{DIALOGUE}_F003 [014.0000-015.0000]: No.\n"
)


@pytest.fixture
def session(tmp_path):
    """The second session of a release: one dialogue without a video and with audio of one utterance."""
    folder = tmp_path / "release/Session2"
    for path, content in {
        f"dialog/EmoEvaluation/{DIALOGUE}.txt": EVALUATION,
        f"dialog/EmoEvaluation/._{DIALOGUE}.txt": EVALUATION.replace("M000", "M009"),
        f"dialog/EmoEvaluation/Categorical/{DIALOGUE}_e1_cat.txt": EVALUATION,
        f"dialog/transcriptions/{DIALOGUE}.txt": TRANSCRIPTION,
        f"sentences/wav/{DIALOGUE}/{DIALOGUE}_M000.wav": "",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, "latin-1")
    return folder


def test_a_release_gives_the_utterances_of_the_four_classes(session):
    assert release.read(session.parent) == [
        Clip(f"{DIALOGUE}_F001", label="sad", speaker="Ses02F"),
        Clip(
            f"{DIALOGUE}_M000",
            a=session / f"sentences/wav/{DIALOGUE}/{DIALOGUE}_M000.wav",
            t="A café: yes.",
            label="happy",
            speaker="Ses02M",
        ),
    ]


def test_an_utterance_has_its_seconds_and_its_half_of_the_video(session):
    film = session / f"dialog/avi/DivX/{DIALOGUE}.avi"
    film.parent.mkdir(parents=True)
    film.touch()

    woman, man = release.read(session.parent)

    assert woman.v == Video(film, 10.01, 11.3925, "right")
    assert man.v == Video(film, 6.2901, 8.2357, "left")


def test_a_folder_that_is_not_a_release_is_named(tmp_path):
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}: has no folder Session1")):
        release.read(tmp_path)


def test_a_release_without_labels_is_named(session):
    (session / f"dialog/EmoEvaluation/{DIALOGUE}.txt").unlink()

    with pytest.raises(UserError, match="no utterance of the four classes"):
        release.read(session.parent)


# Folds.


def clips(*pairs):
    return [Clip(utterance_id, t="x", label="sad", speaker=speaker) for utterance_id, speaker in pairs]


def test_each_speaker_is_tested_once_and_the_next_validates():
    by_fold = folds.over_speakers(clips(("1", "c"), ("2", "a"), ("3", "b"), ("4", "a"), ("5", "d")))

    assert by_fold == {
        1: {"train": ["1", "5"], "validation": ["3"], "test": ["2", "4"]},
        2: {"train": ["2", "4", "5"], "validation": ["1"], "test": ["3"]},
        3: {"train": ["2", "3", "4"], "validation": ["5"], "test": ["1"]},
        4: {"train": ["1", "3"], "validation": ["2", "4"], "test": ["5"]},
    }


def test_two_speakers_are_too_few():
    with pytest.raises(UserError, match=re.escape("2 speakers (a, b); expected at least three")):
        folds.over_speakers(clips(("1", "a"), ("2", "b")))


def ids(*sessions):
    return [f"Ses{s:02d}{marked}_impro01_{letter}000" for s in sessions for marked in "FM" for letter in "FM"]


def test_ids_of_iemocap_get_its_folds():
    """The last letter gives the speaker; the table does not. Sessions 1 and 4 are folds 1, 2, 7 and 8."""
    by_fold = folds.over_speakers(clips(*((name, "x") for name in ids(1, 4))))

    assert sorted(by_fold) == [1, 2, 7, 8]
    assert by_fold[7] == {
        "train": ids(1),
        "validation": ["Ses04F_impro01_M000", "Ses04M_impro01_M000"],
        "test": ["Ses04F_impro01_F000", "Ses04M_impro01_F000"],
    }


def test_one_session_of_iemocap_is_too_few():
    with pytest.raises(UserError, match="fold 1: no utterance would be in train"):
        folds.over_speakers(clips(*((name, "x") for name in ids(1))))
