"""Reading any file gives a result or an error message, within bounds of memory and time.

Each reader gets malicious files (hostile.py) and valid files that Hypothesis damages, the same in each run.
Nothing is executed, and no other file is touched.
"""

import ast
import json
import os
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import samples
from hostile import (
    CSVS,
    HDF5S,
    JSONS,
    NPYS,
    SAFETENSORS,
    SECONDS,
    SLACK,
    YAMLS,
    fenced,
    message,
    parquets,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import models
from conftest import ROOT, make_pack
from ifmmin.core import configs
from ifmmin.corpus import features, folds, scalings
from ifmmin.deploy import api
from ifmmin.evaluation import invariants, missing_frames, predictions
from ifmmin.pack import raw, target_files
from ifmmin.parallel import records
from ifmmin.results import curves, mechanism, published, tables
from ifmmin.settings import params, presets
from ifmmin.training import histories, weights

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(),
    reason="the fence reads its own size from /proc, which only Linux has",
)

EXAMPLES = int(os.environ.get("IFMMIN_FUZZ", "40"))
RECORD = {"stage": "split", "seconds": 1.5, "peak_rss_bytes": 3, "processor": "x", "device": "cpu"}
ONE = "Ses01M_impro01_F000"


def ingested(folder):
    """Read a pack as ingest does."""
    targets, faults = target_files.read(folder)
    ids = sorted(targets.ids)
    faults += [fault for m in "avt" for fault in raw.read_frames(folder, m, ids)[1]]
    faults += raw.read_description(folder, ids, targets.n_classes)[1]
    return "refused: " + "\n".join(faults) if faults else len(ids)


def predicted(folder):
    """Read a pack as predict does."""
    files, extractors = raw.locate([str(folder)])
    assert isinstance(extractors, dict)
    return sum(len(frames["a"]) for frames in raw.read_batches(files, 5))


def applied(path):
    """Apply a preset to params.yaml."""
    shutil.copy(ROOT / "params.yaml", path.parent / "params.yaml")
    presets.apply(path.parent / "params.yaml", path)


READERS = {
    "features/index.parquet": lambda path: features.read(path.parent).table,
    "features/pack_folds.parquet": lambda path: features.read_pack_folds(path.parent),
    "features/corpus.json": lambda path: features.read(path.parent).classes,
    "features/a.npy": lambda path: features.read(path.parent).frames["a"].sum(),
    "fold.parquet": folds.read,
    "missing_frames.parquet": missing_frames.read,
    "predictions.parquet": predictions.read,
    "invariants.parquet": invariants.read,
    "scaling.json": scalings.read,
    "config.json": configs.read,
    "runs.json": tables.read_runs,
    "logs/split.json": lambda path: records.read(path.parent),
    "history.csv": histories.read,
    "curves.csv": lambda path: curves.read(path, "curves"),
    "mechanism.csv": mechanism.read,
    "table1.csv": lambda path: tables.read(path, "table"),
    "paper.csv": published.read,
    "weights.safetensors": weights.read,
    "model.safetensors": lambda path: api.load(path).classes,
    "params.yaml": lambda path: params.read(path, "K", "systems", "train"),
    "preset.yaml": applied,
    "pack/pack.json": lambda path: f"{ingested(path.parent)} {predicted(path.parent)}",
    "pack/target/1/trn_int2name.npy": lambda path: ingested(path.parents[2]),
    "pack/target/1/trn_label.npy": lambda path: ingested(path.parents[2]),
    "pack/A/comparE.h5": lambda path: f"{ingested(path.parents[1])} {predicted(path.parents[1])}",
}
"""The sample of a file to the function that reads it."""

SEEDS = {
    ".json": JSONS,
    ".csv": CSVS,
    ".npy": NPYS,
    ".safetensors": SAFETENSORS,
    ".yaml": YAMLS,
    ".h5": {"": b""},
}

PARQUETS = {
    "features/index.parquet": features.INDEX,
    "features/pack_folds.parquet": features.PACK_FOLDS,
    "fold.parquet": folds.SCHEMA,
    "missing_frames.parquet": missing_frames._schema(["logit_a", "logit_b"]),
    "predictions.parquet": predictions._schema(["a", "b"]),
    "invariants.parquet": invariants.SCHEMA,
}

every_reader = pytest.mark.parametrize("name", READERS)


@pytest.fixture(scope="module")
def sample_folder(tmp_path_factory):
    """A folder with a valid sample of each file."""
    folder = tmp_path_factory.mktemp("hostile")
    samples.write_tables(folder)
    curves.write(folder / "curves.csv", samples.HISTORY.assign(system="x"))
    (folder / "logs").mkdir()
    (folder / "logs" / "split.json").write_text(json.dumps(RECORD), "utf-8")
    shutil.copy(ROOT / "reference" / "paper_table1.csv", folder / "paper.csv")
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    shutil.copy(ROOT / "presets" / "demonstration.yaml", folder / "preset.yaml")
    make_pack(folder / "pack").write()
    trained = models.model("if_mmin").state_dict()
    weights.write(folder / "model.safetensors", trained, models.header("if_mmin"))
    (folder / "pack" / "pack.json").write_text('{"name": "λ", "extractors": {"a": "x"}}', "utf-8")
    return folder


@pytest.fixture
def folder(sample_folder, tmp_path, monkeypatch):
    """A copy for one test, which runs in it."""
    shutil.copytree(sample_folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def crashes(read, path, contents):
    """The contents that give neither a result nor an error naming the file, with what they give."""
    ends = {}
    for name, content in contents.items():
        data = content.encode("utf-8") if isinstance(content, str) else content
        path.write_bytes(data)
        ends[name] = fenced(lambda: read(path), len(data))
    return {
        name: end
        for name, end in ends.items()
        if end.startswith("crash") or (end.startswith("refused") and str(path.parent) not in end)
    }


def other_files(path, folder):
    """The bytes of all other files around a file."""
    return {p: p.is_file() and p.read_bytes() for p in folder.parent.rglob("*") if p != path}


@pytest.mark.parametrize(
    ("act", "end"),
    [
        pytest.param(lambda: np.ones(SLACK + (1 << 26), np.uint8).sum(), "MemoryError", id="memory"),
        pytest.param(lambda: time.sleep(9), "ended with -14", id="time"),
        pytest.param(lambda: os.kill(os.getpid(), 9), "ended with -9", id="killed"),
        pytest.param(lambda: {}["key"], "KeyError", id="exception"),
        pytest.param(lambda: open("nowhere"), "refused: nowhere: No such file", id="no file"),  # noqa: PTH123, SIM115
    ],
)
def test_the_fence_reports_how_a_function_ends(act, end):
    result = fenced(act, seconds=1)

    assert end in result
    assert result.startswith("crash") != end.startswith("refused")


@every_reader
def test_a_valid_sample_is_read(folder, name):
    """Otherwise the tests below would not test anything."""
    end = fenced(lambda: READERS[name](folder / name))

    assert not end.startswith(("refused", "crash")), end


@every_reader
def test_malicious_files_give_a_result_or_an_error_message(folder, name):
    path = folder / name
    before = other_files(path, folder)

    assert crashes(READERS[name], path, parquets() if name in PARQUETS else SEEDS[path.suffix]) == {}
    assert other_files(path, folder) == before


@pytest.mark.parametrize("seed", HDF5S)
def test_malicious_hdf5_gives_frames_or_an_error_message(folder, seed):
    path = folder / "pack" / "A" / "comparE.h5"
    with h5py.File(path, "r+") as file:
        del file[ONE]
        HDF5S[seed](file, ONE)

    before = other_files(path, folder)
    ends = [fenced(lambda f=f: f(folder / "pack"), path.stat().st_size) for f in (ingested, predicted)]

    assert ends[0].startswith("refused"), ends
    assert ONE in ends[0]
    assert not any(end.startswith("crash") for end in ends), ends
    assert other_files(path, folder) == before


@pytest.mark.parametrize("packing", ["gzip", "lzf"])
def test_highly_compressed_padding_is_accepted(folder, packing):
    """5000 rows of zeros, about a hundred times the size of the file."""
    with h5py.File(folder / "pack" / "V" / "denseface.h5", "r+") as file:
        for name in list(file):
            padded = np.pad(file[name][()], ((0, 5000), (0, 0)))
            del file[name]
            file.create_dataset(name, data=padded, compression=packing, shuffle=True, fletcher32=True)

    assert fenced(lambda: ingested(folder / "pack")) == "16"


damage = st.lists(
    st.tuples(
        st.sampled_from(["change", "insert", "drop", "cut", "double"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=9)
        | st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f", b"9" * 20]),
    ),
    min_size=1,
    max_size=4,
)
"""(kind of damage, position as a fraction of the file, bytes)."""


def damaged(content, steps):
    for kind, position, data in steps:
        start = int(position * len(content))
        before, after = content[:start], content[start:]
        content = {
            "change": before + data + after[len(data) :],
            "insert": before + data + after,
            "drop": before + after[len(data) :],
            "cut": before,
            "double": before + after[:50] + after,
        }[kind]
    return content


@every_reader
def test_damaged_files_give_a_result_or_an_error_message(folder, name):
    """All in one process: an example that crashes it or hangs fails the test."""
    path = folder / name
    sample = path.read_bytes()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(damage)
    def attack(steps):
        path.write_bytes(damaged(sample, steps))
        try:
            READERS[name](path)
        except Exception as error:
            if message(error) is None:
                raise

    before = other_files(path, folder)
    end = fenced(lambda: attack() or "survived", len(sample), 3 * SECONDS + EXAMPLES)

    assert end == "survived", end
    assert other_files(path, folder) == before


# Nothing is executed, and no other file is touched.


@pytest.mark.parametrize("name", ["pack/pack.json", "pack/A/comparE.h5", "pack/target/1/trn_label.npy"])
def test_a_named_pipe_is_refused_without_waiting(folder, name):
    path = folder / name
    path.unlink()
    os.mkfifo(path)

    end = fenced(lambda: ingested(folder / "pack"), seconds=5)

    assert end.startswith("refused"), end
    assert path.name in end


def test_a_missing_file_is_named(folder):
    for name, read in READERS.items():
        if name in ("pack/pack.json", "logs/split.json"):
            continue
        path = folder / name
        path.rename(path.with_suffix(".away"))
        end = fenced(lambda read=read, path=path: read(path))
        assert end.startswith("refused"), (name, end)
        assert path.name in end, (name, end)
        path.with_suffix(".away").rename(path)


UNSAFE = {"pickle", "dill", "joblib", "shelve", "marshal", "eval", "exec", "read_pickle", "unsafe_load"}
REQUIRED = {"np.load": "allow_pickle=False", "torch.load": "weights_only=True", "YAML": "pure=True"}
"""Call to the argument that it must have."""


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "stages").rglob("*.py"), *(ROOT / "ifmmin").rglob("*.py")]),
    ids=lambda path: path.stem,
)
def test_no_code_unpickles_or_evaluates_what_it_reads(path):
    """Cloudpickle is allowed: it sends our own tasks to a cluster and reads no file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert not {*(alias.name for alias in node.names), getattr(node, "module", None)} & UNSAFE
        elif isinstance(node, ast.Call):
            called, text = ast.unparse(node.func), ast.unparse(node)
            assert called.rpartition(".")[2] not in UNSAFE or called.endswith(".eval"), text
            assert REQUIRED.get(called, "") in text, text
            assert "typ='unsafe'" not in text, text
