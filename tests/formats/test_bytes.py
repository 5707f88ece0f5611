"""Two processes write the same bytes, in any folder."""

import os
import subprocess
import sys
from pathlib import Path

import samples

from conftest import ROOT


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_two_processes_write_every_artifact_with_the_same_bytes(tmp_path):
    """The second process has another hash seed, time zone, language and folder."""
    folder = tmp_path / "another" / "folder"
    samples.write_all(tmp_path / "here")
    changes = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C"}

    subprocess.run(
        [sys.executable, Path(samples.__file__), folder],
        check=True,
        cwd=tmp_path,
        env=os.environ | changes,
    )

    here = contents(tmp_path / "here")
    assert len(here) == 32
    other = contents(folder)
    assert sorted(other) == sorted(here)
    assert [name for name, content in here.items() if other[name] != content] == []


def test_no_artifact_names_the_folder_it_was_written_to(tmp_path):
    samples.write_all(tmp_path)

    assert [n for n, content in contents(tmp_path).items() if str(tmp_path).encode() in content] == []


def test_artifacts_are_world_readable_and_leave_no_temporary_file(tmp_path):
    samples.write_all(tmp_path)

    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {oct(p.stat().st_mode & 0o777) for p in files} == {"0o644"}
    assert not [p for p in files if p.name.startswith(".")]
