"""How an artifact reaches the disk."""

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from ifmmin.core import files
from ifmmin.core.files import ArtifactError

SCHEMA = pa.schema([("name", pa.string()), ("n", pa.int64())])


def test_a_file_is_there_whole_after_the_block_and_nothing_else(tmp_path):
    with files.atomic_write(tmp_path / "deep" / "x.txt") as temporary:
        temporary.write_text("all", "utf-8")
        assert not (tmp_path / "deep" / "x.txt").exists()

    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["x.txt"]
    assert (tmp_path / "deep" / "x.txt").read_text("utf-8") == "all"


def test_an_error_leaves_the_old_file_and_no_new_one(tmp_path):
    (tmp_path / "x.txt").write_text("old", "utf-8")

    def write():
        with files.atomic_write(tmp_path / "x.txt") as temporary:
            temporary.write_text("ne", "utf-8")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        write()

    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
    assert (tmp_path / "x.txt").read_text("utf-8") == "old"


def fill(folder, content, over=True):
    with files.atomic_folder(folder, over=over) as made:
        (made / "x.txt").write_text(content, "utf-8")


def contents(folder):
    return {str(p.relative_to(folder)): p.read_text("utf-8") for p in folder.rglob("*") if p.is_file()}


def test_a_folder_takes_the_place_of_an_older_one(tmp_path):
    fill(tmp_path / "deep" / "f", "old")
    (tmp_path / "deep" / "f" / "more.txt").touch()

    fill(tmp_path / "deep" / "f", "new")

    assert contents(tmp_path) == {"deep/f/x.txt": "new"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("nth", [1, 2])
def test_wherever_the_exchange_of_folders_breaks_one_of_the_two_is_there(tmp_path, monkeypatch, error, nth):
    """The first renaming takes the old folder away, the second brings the new one."""
    fill(tmp_path / "f", "old")
    rename, calls = Path.rename, []

    def broken(self, target):
        calls.append(self)
        if len(calls) == nth:
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(error):
        fill(tmp_path / "f", "new")

    assert contents(tmp_path) == {"f/x.txt": "old"}


def test_a_folder_that_others_fill_meanwhile_is_left_alone(tmp_path):
    def both():
        with files.atomic_folder(tmp_path / "f", over=False) as made:
            (made / "x.txt").write_text("ours", "utf-8")
            (tmp_path / "f").mkdir()
            (tmp_path / "f" / "x.txt").write_text("theirs", "utf-8")

    with pytest.raises(OSError, match="not empty"):
        both()

    assert contents(tmp_path) == {"f/x.txt": "theirs"}


def test_a_folder_that_others_are_writing_is_refused(tmp_path):
    with files.atomic_folder(tmp_path / "f", over=False) as made:
        (made / "x.txt").write_text("first", "utf-8")
        with pytest.raises(ArtifactError, match=r"\.writing-f: exists; another process writes there"):
            fill(tmp_path / "f", "second", over=False)

    assert contents(tmp_path) == {"f/x.txt": "first"}


@pytest.mark.parametrize("name", [".", "../f"])
def test_the_folder_that_one_is_in_can_be_filled(tmp_path, monkeypatch, name):
    (tmp_path / "f").mkdir()
    monkeypatch.chdir(tmp_path / "f")

    fill(Path(name), "new", over=False)

    assert contents(tmp_path) == {"f/x.txt": "new"}


def test_what_a_kill_between_the_two_renamings_left_comes_back(tmp_path):
    (tmp_path / ".writing-f" / "old").mkdir(parents=True)
    (tmp_path / ".writing-f" / "old" / "x.txt").write_text("old", "utf-8")

    def fail():
        with files.atomic_folder(tmp_path / "f", over=True):
            raise RuntimeError("no new one")

    with pytest.raises(RuntimeError, match="no new one"):
        fail()

    assert contents(tmp_path) == {"f/x.txt": "old"}


def test_json_has_sorted_keys_unless_told_otherwise(tmp_path):
    files.write_json(tmp_path / "sorted.json", {"b": 1, "a": "λ"})
    files.write_json(tmp_path / "kept.json", {"b": 1, "a": 2}, sort_keys=False)

    assert (tmp_path / "sorted.json").read_text("utf-8") == '{\n  "a": "λ",\n  "b": 1\n}\n'
    assert (tmp_path / "kept.json").read_text("utf-8") == '{\n  "b": 1,\n  "a": 2\n}\n'


def test_csv_keeps_every_digit_and_leaves_missing_values_empty(tmp_path):
    table = pd.DataFrame({"x": [0.1 + 0.2, None], "y": [1, 2]})

    files.write_csv(tmp_path / "x.csv", table)

    assert (tmp_path / "x.csv").read_bytes() == b"x,y\n0.30000000000000004,1\n,2\n"


def test_parquet_reads_back_the_same_with_its_metadata(tmp_path):
    table = pd.DataFrame({"name": ["b", "a"], "n": [1, 2]})

    files.write_parquet(tmp_path / "x.parquet", table, SCHEMA.with_metadata({"run": "1"}))

    got, metadata = files.read_parquet(tmp_path / "x.parquet", SCHEMA)
    pd.testing.assert_frame_equal(got, table.astype(got.dtypes.to_dict()))
    assert metadata == {"run": "1"}


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_a_file_that_is_no_parquet_is_named(tmp_path, content):
    (tmp_path / "x.parquet").write_bytes(content)

    with pytest.raises(ArtifactError, match=re.escape(f"{tmp_path}/x.parquet: not a readable parquet file")):
        files.read_parquet(tmp_path / "x.parquet", SCHEMA)


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([("name", pa.string())]),
        pa.schema([("n", pa.int64()), ("name", pa.string())]),
        pa.schema([("name", pa.string()), ("n", pa.int32())]),
    ],
    ids=["a column less", "another order", "another type"],
)
def test_other_columns_are_named_beside_those_expected(tmp_path, schema):
    files.write_parquet(tmp_path / "x.parquet", pd.DataFrame({"name": ["b"], "n": [1]}), schema)

    with pytest.raises(ArtifactError, match=re.escape(f"columns are {schema.names}; expected ['name', 'n']")):
        files.read_parquet(tmp_path / "x.parquet", SCHEMA)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"x\.parquet"):
        files.read_parquet(tmp_path / "x.parquet", SCHEMA)
