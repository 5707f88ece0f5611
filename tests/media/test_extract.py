"""`ifmmin extract`: from recordings to a pack that ingest accepts."""

import json
import shutil
from importlib import util

import h5py
import numpy as np
import pandas as pd
import pytest

from ifmmin.cli import extract, options
from ifmmin.media import extracting

PACKAGES = ("cv2", "fer", "opensmile", "soundfile", "transformers")
missing = [name for name in PACKAGES if util.find_spec(name) is None]
needs_packages = pytest.mark.skipif(
    bool(missing), reason=f"{', '.join(missing)} of requirements-media.txt is not installed"
)
needs_speech = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def extracted(*arguments):
    """Run the verb extract in this process."""
    extract.main(options.read(["extract", *arguments]))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A folder of recordings: four speakers with one sentence per emotion."""
    from media import make

    folder = tmp_path_factory.mktemp("recordings")
    make.encoder(folder / "encoder")
    make.recordings(folder, 1)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Change to tmp_path."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def encoder(tmp_path):
    """An encoder in tmp_path."""
    from media import make

    make.encoder(tmp_path / "encoder")
    return tmp_path / "encoder"


def frames(pack, file, utterance_id):
    with h5py.File(pack / file) as content:
        return content[utterance_id][()]


@pytest.mark.slow
@needs_packages
@needs_speech
def test_recordings_become_a_pack_that_ingest_accepts(ifmmin, recordings, stage, tmp_path):
    table, audio, video = (recordings / name for name in ("transcripts.csv", "audio", "video"))
    source = ("--transcripts", table, "--audio", audio, "--video", video)

    done = ifmmin("extract", *source, "--encoder", recordings / "encoder", "--out", "pack")
    ingested = stage("ingest", "--pack", "pack", "--out", "features")

    assert (done.code, done.stderr) == (0, "")
    assert ingested.code == 0, ingested.stderr
    assert "16 utterances, 4 classes" in ingested.stderr
    index = pd.read_parquet(tmp_path / "features/index.parquet")
    transcripts = pd.read_csv(table).sort_values("utterance_id")
    assert list(index["utterance_id"]) == list(transcripts["utterance_id"])
    assert list(index["label"]) == [
        ["angry", "happy", "neutral", "sad"].index(label) for label in transcripts["label"]
    ]
    assert (index[["a_length", "v_length", "t_length"]] > 3).all(axis=None)
    name = "cleo_sad1"
    expected, names = extracting.clip(
        recordings / f"audio/{name}.wav",
        "I miss her every day",
        recordings / f"video/{name}.mp4",
        encoder=recordings / "encoder",
        visual="mini_xception",
    )
    for m, file in (("a", "A/comparE.h5"), ("v", "V/denseface.h5"), ("t", "L/bert_large.h5")):
        np.testing.assert_allclose(frames(tmp_path / "pack", file, name), expected[m], atol=1e-5)
    assert json.loads((tmp_path / "features/corpus.json").read_text("utf-8"))["extractors"] == names
    assert not any(str(recordings) in value for value in names.values())
    folds = pd.read_parquet(tmp_path / "features/pack_folds.parquet")
    tested = folds[folds["role"] == "test"]
    assert dict(tested.groupby("fold")["utterance_id"].agg(lambda ids: {i.split("_")[0] for i in ids})) == {
        1: {"anna"},
        2: {"ben"},
        3: {"cleo"},
        4: {"dan"},
    }


@pytest.mark.slow
@needs_packages
@needs_speech
def test_the_iemocap_release_becomes_a_pack_that_ingest_accepts(ifmmin, stage, write_params, tmp_path):
    from media import make

    make.encoder(tmp_path / "encoder")
    make.release(tmp_path / "release")

    done = ifmmin("extract", "--iemocap", "release", "--encoder", "encoder", "--out", "pack")
    ingested = stage("ingest", "--pack", "pack", "--out", "features")
    params = write_params(folds=[1, 2, 3, 4])
    split = stage("split", "--params", params, "--features", "features", "--out", "folds")

    assert [x.code for x in (done, ingested, split)] == [0, 0, 0], ingested.stderr
    assert "32 utterances, 4 classes" in ingested.stderr
    corpus = json.loads((tmp_path / "features/corpus.json").read_text("utf-8"))
    assert (corpus["name"], corpus["iemocap"]) == ("IEMOCAP", True)
    for fold, speaker in ((1, "Ses01F"), (2, "Ses01M"), (3, "Ses02F"), (4, "Ses02M")):
        roles = pd.read_parquet(tmp_path / f"folds/{fold}.parquet")
        tested = roles.loc[roles["role"] == "test", "utterance_id"]
        assert len(tested) == 8
        assert {i[:5] + i.split("_")[2][0] for i in tested} == {speaker}
    # Halves of the picture: the woman looks the same in her dialogue and in his, where the sides are swapped.
    in_hers, in_his = (frames(tmp_path / "pack", "V/denseface.h5", f"Ses01{x}_impro01_F000") for x in "FM")
    man = frames(tmp_path / "pack", "V/denseface.h5", "Ses01M_impro01_M000")
    assert np.abs(in_hers.mean(0) - in_his.mean(0)).mean() < np.abs(man.mean(0) - in_his.mean(0)).mean() / 2


@needs_packages
@needs_speech
def test_generated_recordings_have_the_same_bytes_every_time(tmp_path):
    from media import make

    sentence = next(make.script(1))
    for name in ("one", "two"):
        seconds = make.speak(tmp_path / f"{name}.wav", sentence)
        make.film(tmp_path / f"{name}.mp4", make.pictures(sentence, seconds))
        make.encoder(tmp_path / name)

    for file in (".wav", ".mp4", "/model.safetensors", "/tokenizer.json"):
        first, second = ((tmp_path / f"{name}{file}").read_bytes() for name in ("one", "two"))
        assert first == second, file


@needs_packages
def test_texts_without_labels_become_a_pack_without_targets(here, encoder, tmp_path):
    (tmp_path / "t.csv").write_text("utterance_id,text\nx_1,stop that\nx_2,leave me alone\n", "utf-8")

    extract.main(
        options.read(["extract", "--transcripts", "t.csv", "--encoder", "encoder", "--out", "packs/mine"])
    )

    files = sorted(p.relative_to(tmp_path).as_posix() for p in (tmp_path / "packs").rglob("*") if p.is_file())
    assert files == ["packs/mine/L/bert_large.h5", "packs/mine/pack.json"]
    assert frames(tmp_path / "packs/mine", "L/bert_large.h5", "x_1").shape == (4, 32)


@needs_packages
def test_missing_modalities_are_reported_once_per_modality(here, encoder, tmp_path, caplog):
    import soundfile

    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio/x_1.wav", np.sin(np.arange(16_000)), 16_000)
    (tmp_path / "t.csv").write_text("utterance_id,text\nx_1,\nx_2,leave me alone\n", "utf-8")

    extract.main(
        options.read(
            ["extract", "--audio", "audio", "--transcripts", "t.csv", "--encoder", "encoder", "--out", "pack"]
        )
    )

    assert [message.split(":")[1].partition(";")[0] for message in caplog.messages] == [
        " modality a is missing in 1 of 2 utterances (x_2)",
        " modality t is missing in 1 of 2 utterances (x_1)",
    ]
    with h5py.File(tmp_path / "pack/A/comparE.h5") as file:
        assert list(file) == ["x_1"]


@needs_packages
def test_every_unreadable_file_is_named_and_no_pack_is_written(ifmmin, tmp_path):
    for path in ("audio/x_1.wav", "audio/x_2.wav", "video/x_1.mp4"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"none")
    (tmp_path / "t.csv").write_text("utterance_id,text\nx_1,\nx_2,\n", "utf-8")

    done = ifmmin(
        "extract", "--audio", "audio", "--video", "video", "--transcripts", "t.csv", "--out", "pack"
    )

    assert done.code == 1
    assert [
        line.split(": ")[0] for line in done.stderr.splitlines() if line.startswith(("audio", "video"))
    ] == [
        "audio/x_1.wav",
        "audio/x_2.wav",
        "video/x_1.mp4",
    ]
    assert "Traceback" not in done.stderr
    assert not [p for p in tmp_path.iterdir() if p.name.startswith((".writing", "pack"))]


def test_an_existing_pack_is_not_overwritten(ifmmin, pack, tmp_path):
    pack.write()

    done = ifmmin("extract", "--transcripts", "t.csv", "--out", pack.folder)

    assert done.code == 1
    assert done.stderr.startswith(f"{pack.folder}: exists; expected a new or empty folder.")


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (["--transcripts", "t.csv"], 1, "t.csv: No such file or directory."),
        (["--iemocap", "release"], 1, "release: has no folder Session1; expected the IEMOCAP release."),
        (["--iemocap", "release", "--audio", "audio"], 2, "--audio and --video go with --transcripts"),
        (["--iemocap", "release", "--transcripts", "t.csv"], 2, "not allowed with argument --iemocap"),
        ([], 2, "one of the arguments --transcripts --iemocap is required"),
    ],
)
def test_wrong_arguments_are_refused_with_an_error_message(ifmmin, arguments, code, shown):
    done = ifmmin("extract", *arguments, "--out", "pack")

    assert done.code == code
    assert shown in done.stderr
    assert "Traceback" not in done.stderr


def test_texts_alone_need_an_encoder(ifmmin, tmp_path):
    (tmp_path / "t.csv").write_text("utterance_id,text\nx_1,stop\n", "utf-8")

    done = ifmmin("extract", "--transcripts", "t.csv", "--out", "pack")

    assert done.code == 1
    assert "pass the encoder's folder with --encoder" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("there is no modality to extract")
