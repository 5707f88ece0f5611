"""Writing and reading artifacts."""

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from ifmmin.core import files
from ifmmin.core.files import ArtifactError

SCHEMA = pa.schema([("name", pa.string()), ("n", pa.int64())])


def test_a_file_appears_complete_after_the_block_without_leftovers(tmp_path):
    with files.atomic_write(tmp_path / "deep" / "x.txt") as temporary:
        temporary.write_text("all", "utf-8")
        assert not (tmp_path / "deep" / "x.txt").exists()

    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["x.txt"]
    assert (tmp_path / "deep" / "x.txt").read_text("utf-8") == "all"


def test_after_an_error_only_the_old_file_is_left(tmp_path):
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
    with files.atomic_folder(folder, over=over) as new:
        (new / "x.txt").write_text(content, "utf-8")


def contents(folder):
    return {str(p.relative_to(folder)): p.read_text("utf-8") for p in folder.rglob("*") if p.is_file()}


def test_a_new_folder_replaces_the_old_one(tmp_path):
    fill(tmp_path / "deep" / "f", "old")
    (tmp_path / "deep" / "f" / "more.txt").touch()

    fill(tmp_path / "deep" / "f", "new")

    assert contents(tmp_path) == {"deep/f/x.txt": "new"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("nth", [1, 2])
def test_an_interrupted_swap_of_folders_keeps_the_old_one(tmp_path, monkeypatch, error, nth):
    """The first rename moves the old folder away, the second moves the new folder in."""
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


def test_a_folder_filled_meanwhile_by_another_process_is_kept(tmp_path):
    def write():
        with files.atomic_folder(tmp_path / "f", over=False) as new:
            (new / "x.txt").write_text("ours", "utf-8")
            (tmp_path / "f").mkdir()
            (tmp_path / "f" / "x.txt").write_text("theirs", "utf-8")

    with pytest.raises(OSError, match="not empty"):
        write()

    assert contents(tmp_path) == {"f/x.txt": "theirs"}


def test_a_folder_that_another_process_is_writing_is_refused(tmp_path):
    with files.atomic_folder(tmp_path / "f", over=False) as new:
        (new / "x.txt").write_text("first", "utf-8")
        with pytest.raises(ArtifactError, match=r"\.writing-f: exists; another process writes there"):
            fill(tmp_path / "f", "second", over=False)

    assert contents(tmp_path) == {"f/x.txt": "first"}


@pytest.mark.parametrize("name", [".", "../f"])
def test_the_working_directory_can_be_filled(tmp_path, monkeypatch, name):
    (tmp_path / "f").mkdir()
    monkeypatch.chdir(tmp_path / "f")

    fill(Path(name), "new", over=False)

    assert contents(tmp_path) == {"f/x.txt": "new"}


def test_a_folder_moved_away_by_a_killed_process_is_restored(tmp_path):
    (tmp_path / ".writing-f" / "old").mkdir(parents=True)
    (tmp_path / ".writing-f" / "old" / "x.txt").write_text("old", "utf-8")

    def fail():
        with files.atomic_folder(tmp_path / "f", over=True):
            raise RuntimeError("failed")

    with pytest.raises(RuntimeError, match="failed"):
        fail()

    assert contents(tmp_path) == {"f/x.txt": "old"}


def test_json_keys_are_sorted_by_default(tmp_path):
    files.write_json(tmp_path / "sorted.json", {"b": 1, "a": "λ"})
    files.write_json(tmp_path / "kept.json", {"b": 1, "a": 2}, sort_keys=False)

    assert (tmp_path / "sorted.json").read_text("utf-8") == '{\n  "a": "λ",\n  "b": 1\n}\n'
    assert (tmp_path / "kept.json").read_text("utf-8") == '{\n  "b": 1,\n  "a": 2\n}\n'


def test_csv_keeps_every_digit_and_leaves_missing_values_empty(tmp_path):
    table = pd.DataFrame({"x": [0.1 + 0.2, None], "y": [1, 2]})

    files.write_csv(tmp_path / "x.csv", table)

    assert (tmp_path / "x.csv").read_bytes() == b"x,y\n0.30000000000000004,1\n,2\n"


def test_a_parquet_file_is_read_back_unchanged_with_its_metadata(tmp_path):
    table = pd.DataFrame({"name": ["b", "a"], "n": [1, 2]})

    files.write_parquet(tmp_path / "x.parquet", table, SCHEMA.with_metadata({"run": "1"}))

    got, metadata = files.read_parquet(tmp_path / "x.parquet", SCHEMA)
    pd.testing.assert_frame_equal(got, table.astype(got.dtypes.to_dict()))
    assert metadata == {"run": "1"}


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_a_file_that_is_not_parquet_is_refused(tmp_path, content):
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
    ids=["fewer columns", "another order", "another type"],
)
def test_an_error_lists_the_unexpected_and_the_expected_columns(tmp_path, schema):
    files.write_parquet(tmp_path / "x.parquet", pd.DataFrame({"name": ["b"], "n": [1]}), schema)

    with pytest.raises(ArtifactError, match=re.escape(f"columns are {schema.names}; expected ['name', 'n']")):
        files.read_parquet(tmp_path / "x.parquet", SCHEMA)


def test_a_missing_file_raises_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"x\.parquet"):
        files.read_parquet(tmp_path / "x.parquet", SCHEMA)
