"""How a stage starts and ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ifmmin.core import entry
from stages import ingest

ROOT = Path(entry.__file__).parents[2]


@pytest.fixture
def ingested(pack, tmp_path):
    """A features folder; fold 4 tests Ses01F a second time, and no fold tests Ses02M."""
    pack.folds[4]["tst"] = [i for i in pack.ids if i[:5] == "Ses01" and "_F0" in i]
    pack.folds[4]["trn"] = [i for i in pack.ids if i[:5] == "Ses02" and "_M0" in i]
    pack.folds[4]["val"] = [i for i in pack.ids if i[:5] == "Ses02" and "_F0" in i]
    pack.write()
    ingest.main(["--pack", str(pack.folder), "--out", str(tmp_path / "features")])
    return tmp_path / "features"


def split(stage, params, features):
    return stage("split", "--params", params, "--features", features, "--out", "folds")


def test_a_missing_file_ends_a_stage_with_code_1_and_its_name(stage, write_params, tmp_path):
    result = split(stage, write_params(), tmp_path / "nowhere")

    assert result.code == 1
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert str(tmp_path / "nowhere") in result.stderr
    assert not (tmp_path / "logs").exists()


def test_split_warns_about_speakers_tested_twice_or_never(stage, write_params, ingested, tmp_path):
    result = split(stage, write_params(folds=[1], split={"folds_from": "pack"}), ingested)

    assert result.code == 0, result.stderr
    lines = result.stderr.splitlines()
    assert any("warning" in x and "Ses01F" in x and "fold 4" in x and "fold 1" in x for x in lines), lines
    assert any("warning" in x and "Ses02M" in x and "never" in x for x in lines), lines
    assert (tmp_path / "folds" / "1.parquet").is_file()


def test_the_cost_of_a_stage_is_recorded_in_its_project(stage, write_params, ingested, tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    split(stage, write_params(folds=[1]), ingested)

    assert not (tmp_path / "logs").exists(), "without a project nothing is recorded"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    split(stage, write_params(folds=[1]), ingested)
    record = json.loads((tmp_path / "logs" / "split.json").read_text("utf-8"))
    assert record["stage"] == "split"
    assert record["seconds"] > 0
    assert record["peak_rss_bytes"] > 1e6
    assert {"processor", "python", "torch", "numpy"} <= record.keys()


def parse(*argv):
    return entry.arguments(argv, None, "system", "--seed", "--model", "[--encoders]")


def test_an_argument_in_brackets_is_optional():
    assert parse("x", "--seed", "1", "--model", "m").encoders is None


def test_the_value_of_an_optional_argument_is_a_path():
    args = parse("x", "--seed", "1", "--model", "m", "--encoders", "folder/e")

    assert vars(args) == {"system": "x", "seed": 1, "model": Path("m"), "encoders": Path("folder/e")}


@pytest.mark.parametrize(
    ("argv", "missing"),
    [
        (["x", "--seed", "1", "--encoders", "e"], "--model"),
        (["x", "--model", "m", "--encoders", "e"], "--seed"),
        (["--seed", "1", "--model", "m"], "system"),
    ],
    ids=["path", "number", "word"],
)
def test_an_argument_without_brackets_is_required(capsys, argv, missing):
    with pytest.raises(SystemExit, match="2"):
        parse(*argv)

    assert f"required: {missing}\n" in capsys.readouterr().err


def test_ctrl_c_during_exit_handlers_ends_the_process_silently(tmp_path):
    script = tmp_path / "stages" / "last.py"
    script.parent.mkdir()
    script.write_text(
        "import atexit, signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "from ifmmin.core import entry\n"
        "atexit.register(lambda: (print('last', flush=True), time.sleep(60)))\n"
        "entry.run(lambda argv: {})\n",
        "utf-8",
    )
    process = subprocess.Popen(
        [sys.executable, script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout.readline() == "last\n"

    process.send_signal(signal.SIGINT)

    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == -signal.SIGINT
