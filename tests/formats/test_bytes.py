"""Two processes write the same bytes, wherever they write them."""

import os
import subprocess
import sys
from pathlib import Path

import samples

from conftest import ROOT


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_artifact_written_twice_in_two_processes_has_the_same_bytes(tmp_path):
    """The other process has another hash seed, time zone, language and folder."""
    there = tmp_path / "another" / "folder"
    samples.write_all(tmp_path / "here")
    changed = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C"}

    subprocess.run(
        [sys.executable, Path(samples.__file__), there], check=True, cwd=tmp_path, env=os.environ | changed
    )

    here = contents(tmp_path / "here")
    assert len(here) == 27
    other = contents(there)
    assert sorted(other) == sorted(here)
    assert [name for name, content in here.items() if other[name] != content] == []


def test_no_artifact_names_the_folder_it_was_written_to(tmp_path):
    samples.write_all(tmp_path)

    assert [n for n, content in contents(tmp_path).items() if str(tmp_path).encode() in content] == []


def test_every_artifact_can_be_read_by_all_and_leaves_no_temporary_file(tmp_path):
    samples.write_all(tmp_path)

    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {oct(p.stat().st_mode & 0o777) for p in files} == {"0o644"}
    assert not [p for p in files if p.name.startswith(".")]
