"""Reading packs: a bad pack is refused with all its faults, and nothing in a pack is executed or followed."""

import json
import os
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from conftest import SPLITS
from ifmmin.core.files import ArtifactError
from ifmmin.corpus import features
from ifmmin.pack import raw, target_files
from stages import ingest

ONE = "Ses01M_impro01_F000"
"""The first utterance of the pack; a training utterance in folds 3 and 4."""
OTHER = "Ses02F_script01_1_M003"


@pytest.fixture
def refusal(pack, tmp_path):
    """A function that ingests a bad pack and returns the lines of its error; no features may be written."""

    def ingest_refused():
        out = tmp_path / "features"
        with pytest.raises(ArtifactError, match=re.escape(str(pack.folder))) as caught:
            ingest.main(["--pack", str(pack.folder), "--out", str(out)])
        assert not out.exists()
        return str(caught.value).splitlines()

    return ingest_refused


@pytest.fixture
def ingested(pack, tmp_path):
    """A function that ingests a good pack and returns the features folder."""

    def ingest_pack():
        out = tmp_path / "features"
        ingest.main(["--pack", str(pack.folder), "--out", str(out)])
        return Ingested(out)

    return ingest_pack


class Ingested:
    """A features folder, read by utterance."""

    def __init__(self, folder):
        self.folder = folder
        self.index = pd.read_parquet(folder / "index.parquet").set_index("utterance_id")

    def frames(self, m, utterance_id):
        """The stored frames of an utterance: [T, D]."""
        row = self.index.loc[utterance_id]
        return np.load(self.folder / f"{m}.npy")[row[f"{m}_offset"] :][: row[f"{m}_length"]]


def only(lines, *parts):
    """Assert that there is exactly one line and that it contains each part."""
    assert len(lines) == 1, lines
    assert all(part in lines[0] for part in parts), lines[0]


# The process.


def test_ingest_of_a_bad_pack_exits_with_1_and_lists_the_faults(pack, stage, tmp_path):
    pack.x["a"][ONE][1, 2] = np.nan
    pack.write().file("v").unlink()

    done = stage("ingest", "--pack", pack.folder, "--out", "features")

    assert done.code == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert ONE in done.stderr
    assert str(pack.file("v")) in done.stderr
    assert not (tmp_path / "features").exists()


def test_ingest_of_a_missing_folder_exits_with_1_and_names_it(pack, stage):
    done = stage("ingest", "--pack", pack.folder, "--out", "features")

    assert done.code == 1
    assert "Traceback" not in done.stderr
    assert str(pack.folder / "target") in done.stderr
    assert all(str(pack.file(m)) in done.stderr for m in "avt")


def test_all_faults_of_a_pack_are_reported_at_once(pack, refusal):
    """Seven faults, in each file and each kind of target, give seven lines."""
    pack.x["a"][ONE][0, 0] = np.inf
    del pack.x["v"][ONE]
    del pack.x["v"][OTHER]
    pack.x["t"][OTHER] = np.zeros((0, 3), np.float32)
    pack.folds[2]["trn"].append(pack.folds[2]["trn"][0])
    pack.write()
    pack.target(1, "val_label.npy").unlink()
    np.save(pack.target(3, "tst_label.npy"), np.eye(4)[[0, 1, 2]])

    lines = refusal()

    assert len(lines) == 7, lines
    for expected in (
        (str(pack.file("a")), ONE),
        (str(pack.file("v")), ONE),
        (str(pack.file("v")), OTHER),
        (str(pack.file("t")), OTHER),
        (str(pack.target(2, "trn_int2name.npy")), pack.folds[2]["trn"][0]),
        (str(pack.target(1, "val_label.npy")), "no such file"),
        (str(pack.target(3, "tst_label.npy")), "3 labels for 4 ids"),
    ):
        assert any(all(part in line for part in expected) for line in lines), (expected, lines)


def test_a_wrong_width_is_reported_along_with_another_fault(pack, refusal):
    pack.x["a"][ONE][0, 0] = np.nan
    pack.x["a"][OTHER] = np.ones((2, 6), np.float32)
    pack.write()

    lines = refusal()

    assert len(lines) == 2, lines
    assert any(ONE in line and "nan" in line for line in lines), lines
    assert any(OTHER in line and "6 columns" in line for line in lines), lines


def test_frames_are_checked_for_utterances_whose_labels_are_unusable(pack, refusal):
    """The only fold's training labels are missing, and one of those utterances lacks a modality."""
    pack.folds = {1: pack.folds[1]}
    missing = pack.folds[1]["trn"][0]
    del pack.x["v"][missing]
    pack.write().target(1, "trn_label.npy").unlink()

    lines = refusal()

    assert len(lines) == 2, lines
    assert any(missing in line and str(pack.file("v")) in line for line in lines), lines


def test_a_bad_description_is_reported_along_with_other_faults(pack, refusal):
    pack.write().file("a").unlink()
    (pack.folder / "pack.json").write_text("{", "utf-8")

    lines = refusal()

    assert len(lines) == 2, lines
    assert any("pack.json" in line for line in lines), lines


# Files.


@pytest.mark.parametrize("m", list("avt"))
def test_a_missing_file_is_named(pack, refusal, m):
    pack.write().file(m).unlink()

    only(refusal(), str(pack.file(m)), "no such file")


@pytest.mark.parametrize("m", list("avt"))
def test_a_missing_folder_names_the_file_expected_in_it(pack, refusal, m):
    shutil.rmtree(pack.write().file(m).parent)

    only(refusal(), str(pack.file(m)), "no such file")


def test_a_folder_in_place_of_a_file_is_named(pack, refusal):
    pack.write().file("v").unlink()
    pack.file("v").mkdir()

    only(refusal(), str(pack.file("v")))


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all\n" * 99], ids=["empty", "text"])
def test_a_file_that_is_not_hdf5_is_named(pack, refusal, content):
    pack.write().file("a").write_bytes(content)

    only(refusal(), str(pack.file("a")), "not a readable HDF5 file")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_hdf5_file_is_named(pack, refusal, share):
    content = pack.write().file("t").read_bytes()
    pack.file("t").write_bytes(content[: int(share * len(content))])

    only(refusal(), str(pack.file("t")), "not a readable HDF5 file")


def test_damaged_contents_of_a_data_set_name_the_utterance(pack, refusal):
    """A compressed chunk is overwritten: the file opens, but the data set is unreadable."""
    pack.write()
    values = np.arange(5000, dtype=np.float32).reshape(1000, 5)
    with pack.open("a") as file:
        del file[ONE]
        data = file.create_dataset(ONE, data=values, chunks=(1000, 5), compression="gzip")
        chunk = data.id.get_chunk_info(0)
    with pack.file("a").open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * chunk.size)

    only(refusal(), str(pack.file("a")), ONE)


def test_a_missing_target_folder_is_named(pack, refusal):
    shutil.rmtree(pack.write().folder / "target")

    lines = refusal()

    assert any(str(pack.folder / "target") in line for line in lines), lines


@pytest.mark.parametrize(
    "name", [f"{s}_{w}.npy" for s in ("trn", "val", "tst") for w in ("int2name", "label")]
)
def test_a_missing_target_file_is_named(pack, refusal, name):
    pack.write().target(2, name).unlink()

    only(refusal(), str(pack.target(2, name)), "no such file")


@pytest.mark.parametrize("name", ["trn_int2name.npy", "val_label.npy"])
@pytest.mark.parametrize(
    "keep", [0, 4, 60, -1], ids=["empty", "magic only", "half a header", "one byte short"]
)
def test_a_truncated_target_file_is_named(pack, refusal, name, keep):
    content = pack.write().target(2, name).read_bytes()
    pack.target(2, name).write_bytes(content[:keep])

    only(refusal(), str(pack.target(2, name)), "not a readable .npy array")


def test_a_target_file_that_claims_more_than_any_memory_is_named(pack, refusal):
    pack.write()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**15, 4)}
    with pack.target(1, "trn_label.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)

    only(refusal(), str(pack.target(1, "trn_label.npy")))


def test_an_archive_in_place_of_an_array_is_named(pack, refusal):
    pack.write()
    with pack.target(1, "val_label.npy").open("wb") as file:
        np.savez(file, labels=np.eye(4))

    only(refusal(), str(pack.target(1, "val_label.npy")), "archive")


# Nothing is executed or followed.


class Bomb:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        """The call that unpickling makes."""
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["trn_int2name.npy", "trn_label.npy"])
def test_a_pickle_in_a_target_file_is_refused_and_not_executed(pack, refusal, tmp_path, name):
    pack.write()
    np.save(pack.target(1, name), np.array([Bomb(tmp_path / "executed")], dtype=object), allow_pickle=True)

    lines = refusal()

    only(lines, str(pack.target(1, name)), "without pickled objects")
    assert not (tmp_path / "executed").exists()


def test_the_pickle_of_the_test_above_runs_if_pickles_are_allowed(tmp_path):
    np.save(tmp_path / "bomb.npy", np.array([Bomb(tmp_path / "executed")], dtype=object), allow_pickle=True)

    np.load(tmp_path / "bomb.npy", allow_pickle=True)

    assert (tmp_path / "executed").is_dir()


@pytest.fixture
def elsewhere(tmp_path):
    """Another HDF5 file with valid frames under the utterance's id."""
    path = tmp_path / "elsewhere.h5"
    with h5py.File(path, "w") as file:
        file[ONE] = np.ones((3, 5), np.float32)
    return path


def test_an_external_link_is_refused(pack, refusal, elsewhere):
    pack.write()
    with pack.open("a") as file:
        del file[ONE]
        file[ONE] = h5py.ExternalLink(str(elsewhere), ONE)

    only(refusal(), str(pack.file("a")), ONE, "is a link")


def test_an_external_link_to_nothing_is_refused_as_a_link(pack, refusal, tmp_path):
    pack.write()
    with pack.open("a") as file:
        del file[ONE]
        file[ONE] = h5py.ExternalLink(str(tmp_path / "nothing.h5"), ONE)

    only(refusal(), str(pack.file("a")), ONE, "is a link")


def test_a_soft_link_is_refused(pack, refusal):
    pack.write()
    with pack.open("v") as file:
        del file[ONE]
        file[ONE] = h5py.SoftLink(f"/{OTHER}")

    only(refusal(), str(pack.file("v")), ONE, "is a link")


def test_a_virtual_data_set_is_refused(pack, refusal, elsewhere):
    pack.write()
    layout = h5py.VirtualLayout(shape=(3, 5), dtype=np.float32)
    layout[:] = h5py.VirtualSource(str(elsewhere), ONE, shape=(3, 5))
    with pack.open("a") as file:
        del file[ONE]
        file.create_virtual_dataset(ONE, layout)

    only(refusal(), str(pack.file("a")), ONE, "another file")


def test_external_storage_is_refused(pack, refusal, tmp_path):
    (tmp_path / "values.bin").write_bytes(np.ones((3, 5), np.float32).tobytes())
    pack.write()
    with pack.open("a") as file:
        del file[ONE]
        file.create_dataset(
            ONE, (3, 5), np.float32, external=[(str(tmp_path / "values.bin"), 0, h5py.h5f.UNLIMITED)]
        )

    only(refusal(), str(pack.file("a")), ONE, "another file")


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "..", "x/y", "x\\..\\y"])
def test_an_id_is_never_a_path(pack, ingested, name):
    """An id that looks like a path is accepted if HDF5 can hold it; no other file is written."""
    pack.write()
    storable = "/" not in name
    for fold in pack.folds:
        for split, ids in pack.folds[fold].items():
            renamed = [name if i == ONE else i for i in ids]
            np.save(pack.target(fold, f"{split}_int2name.npy"), np.array(renamed, dtype=bytes)[:, None])
    for m in "avt":
        with pack.open(m) as file:
            values = file[ONE][()]
            if storable and name != "..":
                file[name] = values
            elif name == "x/y":
                file.create_group("x")["y"] = values
    before = sorted(pack.folder.parent.rglob("*"))

    if storable and name != "..":
        assert len(ingested().index) == len(pack.ids)
        assert {p.name for p in pack.folder.parent.iterdir()} == {"pack", "features"}
        assert len(list((pack.folder.parent / "features").iterdir())) == 6
    else:
        with pytest.raises(ArtifactError, match=re.escape(repr(name))) as caught:
            ingested()
        assert len(str(caught.value).splitlines()) == 3
        assert sorted(pack.folder.parent.rglob("*")) == before


# Utterances.


@pytest.mark.parametrize("m", list("avt"))
def test_an_utterance_missing_from_a_modality_is_named(pack, refusal, m):
    del pack.x[m][ONE]
    pack.write()

    only(refusal(), str(pack.file(m)), ONE, "is missing")


@pytest.mark.parametrize("m", list("avt"))
@pytest.mark.parametrize(
    ("value", "shown"),
    [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (1e39, "1e+39"), (-1e39, "-1e+39")],
    ids=["nan", "inf", "minus inf", "over float32", "under float32"],
)
def test_a_value_that_is_not_finite_in_float32_is_named(pack, refusal, m, value, shown):
    pack.x[m][OTHER] = pack.x[m][OTHER].astype(np.float64)
    pack.x[m][OTHER][0, 1] = value
    pack.write()

    only(refusal(), str(pack.file(m)), OTHER, shown, "frame 0", "column 1")


@pytest.mark.parametrize(
    ("array", "shown"),
    [
        (np.zeros((0, 5), np.float32), "[0, 5]"),
        (np.zeros((3, 0), np.float32), "[3, 0]"),
        (np.zeros(0, np.float32), "[0]"),
        (np.ones(5, np.float32), "[5]"),
        (np.float32(1), "[]"),
        (np.ones((2, 3, 5), np.float32), "[2, 3, 5]"),
        (np.full((2, 5), b"1.0"), "S3"),
        (np.ones((2, 5), np.complex64), "complex64"),
        (np.ones((2, 5), bool), "bool"),
        (np.ones((2, 5), [("x", np.float32)]), "x"),
        (h5py.Empty(np.float32), ONE),
    ],
    ids=[
        "no frame",
        "no column",
        "empty vector",
        "vector",
        "scalar",
        "three dimensions",
        "bytes",
        "complex",
        "bool",
        "compound",
        "no dataspace",
    ],
)
def test_an_array_that_is_not_frames_of_numbers_is_named(pack, refusal, array, shown):
    pack.x["a"][ONE] = array
    pack.write()

    only(refusal(), str(pack.file("a")), ONE, shown)


def test_an_array_of_text_is_named(pack, refusal):
    pack.write()
    with pack.open("t") as file:
        del file[ONE]
        file.create_dataset(ONE, data=[["one", "two", "three"]], dtype=h5py.string_dtype())

    only(refusal(), str(pack.file("t")), ONE, "expected numbers")


def test_a_group_in_place_of_frames_is_named(pack, refusal):
    pack.write()
    with pack.open("a") as file:
        values = file[ONE][()]
        del file[ONE]
        file.create_group(ONE)["frames"] = values

    only(refusal(), str(pack.file("a")), ONE, "is a group")


def test_a_data_set_that_claims_more_than_any_memory_is_named(pack, refusal):
    pack.write()
    with pack.open("a") as file:
        del file[ONE]
        file.create_dataset(ONE, (10**13, 5), np.float32, chunks=(1000, 5))

    only(refusal(), str(pack.file("a")), ONE)


@pytest.mark.parametrize("m", list("avt"))
def test_an_utterance_of_another_width_is_named(pack, refusal, m):
    pack.x[m][OTHER] = np.ones((2, 9), np.float32)
    pack.write()

    only(refusal(), str(pack.file(m)), OTHER, "9 columns")


# Labels and ids.


@pytest.mark.parametrize(
    "row",
    [[0, 0, 0, 0], [1, 1, 0, 0], [0, 0.5, 0.5, 0], [0, 2, 0, 0], [1, 0, 0, -1], [np.nan, 1, 0, 0]],
    ids=["none", "two", "halves", "two in number", "minus one", "nan"],
)
def test_labels_that_are_not_one_hot_name_the_file_and_the_utterance(pack, refusal, row):
    labels = pack.write().one_hot(pack.folds[4]["trn"])
    labels[3] = row
    np.save(pack.target(4, "trn_label.npy"), labels)

    only(refusal(), str(pack.target(4, "trn_label.npy")), pack.folds[4]["trn"][3])


@pytest.mark.parametrize(
    "labels",
    [np.array([0, 1, 2, 3]), np.full((4, 4), "1"), np.ones((4, 1)), np.ones((4, 4, 1))],
    ids=["indices", "text", "one class", "three dimensions"],
)
def test_labels_that_are_not_a_table_of_numbers_name_the_file(pack, refusal, labels):
    np.save(pack.write().target(1, "val_label.npy"), labels)

    only(refusal(), str(pack.target(1, "val_label.npy")), "expected one-hot numbers")


def test_a_wrong_number_of_labels_names_the_file_and_both_lengths(pack, refusal):
    np.save(pack.write().target(1, "tst_label.npy"), np.eye(4)[[0, 1, 2, 3, 0]])

    only(refusal(), str(pack.target(1, "tst_label.npy")), "5 labels for 4 ids")


def test_labels_of_another_width_than_in_other_splits_name_the_file(pack, refusal):
    np.save(pack.write().target(2, "tst_label.npy"), np.eye(5)[[0, 1, 2, 3]])

    only(refusal(), str(pack.target(2, "tst_label.npy")), "5 columns")


def test_every_label_file_of_another_width_is_named(pack, refusal):
    pack.write()
    for fold in (1, 2):
        np.save(pack.target(fold, "tst_label.npy"), np.eye(5)[[0, 1, 2, 3]])

    lines = refusal()

    assert len(lines) == 2, lines
    assert all(any(str(pack.target(f, "tst_label.npy")) in line for line in lines) for f in (1, 2)), lines


def test_an_utterance_whose_label_differs_between_folds_is_named(pack, refusal):
    labels = pack.write().one_hot(pack.folds[3]["val"])
    changed = pack.folds[3]["val"][1]
    labels[1] = np.eye(4)[0]
    np.save(pack.target(3, "val_label.npy"), labels)

    lines = refusal()

    assert lines
    assert all(changed in line for line in lines), lines


def test_an_id_twice_in_a_split_is_named(pack, refusal):
    pack.folds[1]["tst"].append(ONE)
    pack.write()

    only(refusal(), str(pack.target(1, "tst_int2name.npy")), ONE, "2 times")


def test_an_id_in_two_splits_of_a_fold_is_named(pack, refusal):
    assert ONE in pack.folds[1]["tst"]
    pack.folds[1]["trn"].append(ONE)
    pack.write()

    only(refusal(), str(pack.folder / "target" / "1"), ONE, "trn", "tst")


@pytest.mark.parametrize("split", ["trn", "val", "tst"])
def test_an_empty_split_is_named(pack, refusal, split):
    pack.folds[1][split] = []
    pack.write()
    np.save(pack.target(1, f"{split}_label.npy"), np.zeros((0, 4)))

    only(refusal(), str(pack.target(1, split)), "empty")


@pytest.mark.parametrize(
    "ids",
    [np.arange(4), np.array([["a", "b"], ["c", "d"]]), np.array("a")],
    ids=["numbers", "two columns", "scalar"],
)
def test_ids_that_are_not_a_list_of_text_name_the_file(pack, refusal, ids):
    np.save(pack.write().target(1, "val_int2name.npy"), ids)

    only(refusal(), str(pack.target(1, "val_int2name.npy")), "expected ids")


def test_an_id_that_is_not_utf_8_names_the_file(pack, refusal):
    np.save(pack.write().target(1, "val_int2name.npy"), np.array([b"\xff\xfe", b"a", b"b", b"c"]))

    only(refusal(), str(pack.target(1, "val_int2name.npy")), "UTF-8")


def test_an_empty_id_names_the_file_and_the_row(pack, refusal):
    ids = [i.encode() for i in pack.folds[1]["val"]]
    ids[2] = b""
    np.save(pack.write().target(1, "val_int2name.npy"), np.array(ids))

    lines = refusal()

    assert any(str(pack.target(1, "val_int2name.npy")) in line and "row 2" in line for line in lines), lines


# A class that is missing from a role: an error in split, before any training.


@pytest.mark.parametrize(("split", "role"), [("trn", "train"), ("tst", "test")])
def test_split_exits_with_1_if_training_or_test_lacks_a_class(
    pack, ingested, stage, write_params, tmp_path, split, role
):
    """All sad utterances of that split are removed from fold 1 of the pack's target files."""
    pack.folds[1][split] = [i for i in pack.folds[1][split] if pack.labels[i] != 3]
    pack.write()
    ingested()
    write_params(folds=[1], split={"folds_from": "pack"})

    done = stage("split", "--params", "params.yaml", "--features", "features", "--out", "folds")

    assert done.code == 1
    assert "Traceback" not in done.stderr
    assert "fold 1" in done.stderr
    assert "'sad'" in done.stderr
    assert f"no utterance in {role}" in done.stderr
    assert not (tmp_path / "folds").exists()


def test_split_writes_the_folds_of_a_good_pack(pack, ingested, stage, write_params, tmp_path):
    pack.write()
    ingested()
    write_params(folds=[1, 4])

    done = stage("split", "--params", "params.yaml", "--features", "features", "--out", "folds")

    assert done.code == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "folds").iterdir()) == [
        "1.parquet",
        "1_scaling.json",
        "4.parquet",
        "4_scaling.json",
    ]


# Harmless differences.


def test_the_index_of_a_good_pack_has_its_utterances_and_labels(pack, ingested):
    pack.write()

    got = ingested()

    assert list(got.index.index) == pack.ids
    assert dict(got.index["label"]) == pack.labels
    assert got.index.loc[ONE, "speaker"] == "Ses01F"
    corpus = json.loads((got.folder / "corpus.json").read_text("utf-8"))
    assert corpus == {
        "classes": ["angry", "happy", "neutral", "sad"],
        "iemocap": True,
        "name": "IEMOCAP",
        "synthetic": False,
    }


def test_a_pack_without_statistics_files_is_accepted(pack, ingested):
    assert not list(pack.write().folder.rglob("*mean_std*"))

    assert len(ingested().index) == len(pack.ids)


def test_a_statistics_file_is_ignored(pack, ingested):
    (pack.write().folder / "A" / "comparE_mean_std.h5").write_bytes(b"whatever")

    assert len(ingested().index) == len(pack.ids)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.int8, np.uint8, bool])
def test_labels_of_any_number_type_are_accepted(pack, ingested, dtype):
    pack.write()
    for fold, splits in pack.folds.items():
        for split, ids in splits.items():
            np.save(pack.target(fold, f"{split}_label.npy"), pack.one_hot(ids).astype(dtype))

    assert dict(ingested().index["label"]) == pack.labels


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ">f4", np.int64, np.int16, np.uint8])
def test_features_of_any_number_type_are_stored_as_float32(pack, ingested, dtype):
    values = np.arange(1, 16).reshape(3, 5)
    pack.x["a"][ONE] = values.astype(dtype)
    pack.write()

    frames = ingested().frames("a", ONE)

    assert frames.dtype == np.float32
    np.testing.assert_array_equal(frames, values)


@pytest.mark.parametrize("m", list("avt"))
def test_an_utterance_of_one_frame_is_accepted(pack, ingested, m):
    pack.x[m][ONE] = pack.x[m][ONE][:1]
    pack.write()

    np.testing.assert_array_equal(ingested().frames(m, ONE), pack.x[m][ONE])


@pytest.mark.parametrize("m", ["a", "v", "t"])
def test_an_all_zero_sequence_is_missing_and_stored_as_one_frame(pack, ingested, m):
    pack.x[m][ONE] = np.zeros_like(pack.x[m][ONE])
    pack.write()

    features = ingested()

    assert len(features.frames(m, ONE)) == 0
    others = sum(len(features.frames(m, i)) for i in pack.ids if i != ONE)
    assert len(np.load(features.folder / f"{m}.npy")) == others + 1


def test_a_very_long_utterance_is_accepted(pack, ingested):
    pack.x["v"][ONE] = np.ones((20_000, 4), np.float32)
    pack.write()

    assert ingested().frames("v", ONE).shape == (20_000, 4)


def test_utterances_without_labels_are_ignored(pack, ingested):
    pack.x["a"]["extra"] = np.full(3, np.nan)
    pack.x["t"]["another"] = np.zeros((2, 99))
    pack.write()

    assert list(ingested().index.index) == pack.ids


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["N", "N by 1"])
@pytest.mark.parametrize("dtype", [bytes, str])
def test_ids_may_be_bytes_or_text_in_a_list_or_a_column(pack, ingested, shape, dtype):
    pack.write()
    for fold, splits in pack.folds.items():
        for split, ids in splits.items():
            np.save(pack.target(fold, f"{split}_int2name.npy"), np.array(ids, dtype=dtype).reshape(shape))

    assert list(ingested().index.index) == pack.ids


@pytest.mark.parametrize("as_bytes", [True, False], ids=["bytes", "text"])
def test_ids_in_any_script_are_accepted(pack, ingested, as_bytes):
    name = "Gespräch_感情_1"
    for m in "avt":
        pack.x[m][name] = pack.x[m].pop(ONE)
    pack.write()
    for fold, splits in pack.folds.items():
        for split, ids in splits.items():
            renamed = [name if i == ONE else i for i in ids]
            array = np.array([i.encode() for i in renamed] if as_bytes else renamed)
            np.save(pack.target(fold, f"{split}_int2name.npy"), array)

    assert name in ingested().index.index


def test_other_files_in_the_target_folder_are_ignored(pack, ingested):
    (pack.write().folder / "target" / "README").write_text("x", "utf-8")
    (pack.folder / "target" / ".cache").mkdir()

    assert sorted(pd.read_parquet(ingested().folder / "pack_folds.parquet")["fold"].unique()) == [1, 2, 3, 4]


def test_the_order_of_ids_in_a_pack_does_not_matter(pack, ingested, tmp_path):
    pack.write()
    ingested()
    first = {p.name: p.read_bytes() for p in (tmp_path / "features").iterdir()}
    for fold, splits in pack.folds.items():
        pack.folds[fold] = {split: ids[::-1] for split, ids in splits.items()}
    pack.write()

    ingested()

    assert {p.name: p.read_bytes() for p in (tmp_path / "features").iterdir()} == first


def test_other_ids_get_numbered_classes_and_a_speaker_from_the_id(pack, ingested):
    renamed = {i: f"vid{n:02d}_seg_{n}" for n, i in enumerate(pack.ids)}
    pack.labels = {renamed[i]: label for i, label in pack.labels.items()}
    pack.x = {m: {renamed[i]: x for i, x in arrays.items()} for m, arrays in pack.x.items()}
    pack.folds = {f: {s: [renamed[i] for i in ids] for s, ids in v.items()} for f, v in pack.folds.items()}
    pack.write()

    got = ingested()

    corpus = features.read_corpus(got.folder)
    assert corpus["classes"] == ["class_0", "class_1", "class_2", "class_3"]
    assert corpus["iemocap"] is False
    assert got.index.loc["vid03_seg_3", "speaker"] == "vid03_seg"


# Padding.


@pytest.mark.parametrize(("m", "kept"), [("a", 5), ("v", 3), ("t", 3)], ids=list("avt"))
def test_trailing_zero_rows_are_padding_in_v_and_t_and_frames_in_a(pack, ingested, m, kept):
    """The rows are 1, 0, 1, 0, 0. A zero row between others is a frame in every modality."""
    pack.x[m][ONE] = np.array([1, 0, 1, 0, 0], np.float32)[:, None] * np.ones(
        len(pack.x[m][ONE][0]), np.float32
    )
    pack.write()

    np.testing.assert_array_equal(ingested().frames(m, ONE), pack.x[m][ONE][:kept])


def test_the_stored_frames_are_those_of_the_pack(pack, ingested):
    pack.write()

    got = ingested()

    for m in "avt":
        for utterance_id, x in pack.x[m].items():
            stored = x if m == "a" else x[x.any(1)]
            np.testing.assert_array_equal(got.frames(m, utterance_id), stored)


# The description.


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("{", "JSON"),
        ("[]", "expected a JSON object"),
        ('{"colour": "red"}', "no other key"),
        ('{"name": 3}', "no other key"),
        ('{"classes": ["a", "b"]}', "['a', 'b']"),
        ('{"classes": ["a", "b", "c", "c"]}', "['a', 'b', 'c', 'c']"),
        ('{"classes": ["a", "b", "c", "../d"]}', "../d"),
        ('{"classes": ["a", "b", "c", 4]}', "4"),
        ('{"extractors": "opensmile"}', "no other key"),
        ('{"extractors": {"a": 3}}', "{'a': 3}"),
        ('{"extractors": {"audio": "opensmile"}}', "{'audio': 'opensmile'}"),
    ],
)
def test_a_description_that_breaks_a_rule_is_named(pack, refusal, content, shown):
    (pack.write().folder / "pack.json").write_text(content, "utf-8")

    only(refusal(), str(pack.folder / "pack.json"), shown)


def test_a_binary_description_is_named(pack, refusal):
    (pack.write().folder / "pack.json").write_bytes(b"\xff\xfe\x00")

    only(refusal(), str(pack.folder / "pack.json"))


def test_a_description_sets_name_and_classes_of_the_corpus(pack, ingested):
    stated = {"name": "mine", "classes": ["k1", "k2", "k3", "k4"], "synthetic": True}
    (pack.write().folder / "pack.json").write_text(json.dumps(stated), "utf-8")

    corpus = features.read_corpus(ingested().folder)

    assert corpus == {**stated, "iemocap": True}


def test_the_names_of_extractors_are_stored_with_the_corpus(pack, ingested):
    extractors = {"a": "opensmile", "t": "BertModel λ"}
    (pack.write().folder / "pack.json").write_text(json.dumps({"extractors": extractors}), "utf-8")

    corpus = features.read_corpus(ingested().folder)

    assert corpus["extractors"] == extractors
    assert corpus["classes"] == ["angry", "happy", "neutral", "sad"]


# The input of predict.


def test_predict_takes_a_pack_or_one_file_per_modality(pack):
    pack.write()
    (pack.folder / "pack.json").write_text('{"extractors": {"a": "opensmile"}}', "utf-8")

    assert raw.locate(["t=x.h5", "a=y=z.h5"]) == ({"t": Path("x.h5"), "a": Path("y=z.h5")}, {})
    files = {m: pack.file(m) for m in "avt"}
    assert raw.locate([str(pack.folder)]) == (files, {"a": "opensmile"})


@pytest.mark.parametrize("inputs", [["{pack}/nothing"], ["{pack}", "{pack}"], ["x=y.h5"], ["a="]])
def test_an_input_that_is_neither_a_pack_nor_files_is_named(pack, inputs):
    pack.write()
    inputs = [text.format(pack=pack.folder) for text in inputs]

    expected = re.escape(" ".join(inputs)) + ": neither a feature pack nor files"
    with pytest.raises(ArtifactError, match=expected):
        raw.locate(inputs)


@pytest.mark.parametrize(
    ("content", "message"),
    [('{"extractors": ["a"]}', "no other key"), ('{"name": "\\ud800"}', "name is"), ("[]", "JSON object")],
)
def test_predict_refuses_a_bad_description_too(pack, content, message):
    (pack.write().folder / "pack.json").write_text(content, "utf-8")

    with pytest.raises(ArtifactError, match=message):
        raw.locate([str(pack.folder)])


# Writing.


def test_only_the_given_modalities_are_written(pack, tmp_path):
    raw.write(tmp_path / "written", {"t": lambda: iter(pack.x["t"].items())}, {})

    assert [p.name for p in (tmp_path / "written").rglob("*.h5")] == ["bert_large.h5"]


def test_a_written_pack_reads_back_the_same(pack, tmp_path):
    folds = {fold: {SPLITS[s]: ids for s, ids in splits.items()} for fold, splits in pack.folds.items()}
    targets = target_files.Targets(pack.labels, folds, 4)
    source = {m: lambda m=m: iter(pack.x[m].items()) for m in "avt"}

    raw.write(tmp_path / "written", source, {"name": "mine"})
    target_files.write(tmp_path / "written", targets)

    got, faults = target_files.read(tmp_path / "written")
    assert faults == []
    assert got == targets
    for m in "avt":
        arrays, faults = raw.read_frames(tmp_path / "written", m, pack.ids)
        assert faults == []
        for utterance_id, x in zip(pack.ids, arrays, strict=True):
            source_x = pack.x[m][utterance_id]
            np.testing.assert_array_equal(x, source_x if m == "a" else source_x[source_x.any(1)])
