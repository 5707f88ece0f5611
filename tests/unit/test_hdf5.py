"""Frames out of HDF5 files, some of which were patched byte by byte to lead their reader astray."""

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t

from ifmmin.core.errors import UserError
from ifmmin.pack import hdf5

LEFT = 1 << 30
X = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.fixture
def path(tmp_path):
    """A file whose neighbour is nobody's business."""
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["b"] = np.full((3, 2), 42, np.float32)
    (tmp_path / "secret").write_bytes(b"secret" * 4)
    return tmp_path / "x.h5"


def patched(path, *pairs):
    content = path.read_bytes()
    for before, after in pairs:
        assert content.count(before) == 1
        content = content.replace(before, after)
    path.write_bytes(content)


def read(path, name):
    with h5py.File(path) as file:
        return hdf5.frames(file, name, hdf5.list_datasets(file)[name], LEFT)[0]


def refused(path, name):
    with h5py.File(path) as file, pytest.raises(UserError) as caught:
        hdf5.frames(file, name, hdf5.list_datasets(file)[name], LEFT)
    return str(caught.value)


def test_names_are_listed_with_whether_they_are_here(path):
    with h5py.File(path, "w") as file:
        file["x"], file["λ"] = X, X
        file["soft"], file["external"] = h5py.SoftLink("/x"), h5py.ExternalLink("other.h5", "/b")

    with h5py.File(path) as file:
        assert hdf5.list_datasets(file) == {"x": True, "λ": True, "soft": False, "external": False}
    np.testing.assert_array_equal(read(path, "λ"), X)
    assert refused(path, "external").startswith("is a link")


def test_another_files_bytes_are_not_read_though_an_offset_is_claimed(path):
    """An external data set whose layout, against the format, names an address in the file itself."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (24, 1), "u1", external=[(path.with_name("secret"), 0, 24)])
    patched(
        path,
        (
            b"\x03\x01" + b"\xff" * 8 + b"\x18" + b"\0" * 7,
            b"\x03\x01" + b"\x40" + b"\0" * 7 + b"\x18" + b"\0" * 7,
        ),
    )

    assert refused(path, "x") == "keeps its values in another file; expected them in this file"


@pytest.mark.parametrize(
    "link", [h5py.ExternalLink("other.h5", "/b"), h5py.SoftLink("/away")], ids=["file", "soft"]
)
@pytest.mark.parametrize("first", [True, False])
def test_a_name_that_is_there_twice_leads_nowhere(path, link, first):
    with h5py.File(path, "w") as file:
        file["new style"] = link  # links in the group's header, which a deleted one leaves so
        del file["new style"]
        for name, of in (("qqu1", link), ("qqu2", X))[:: 1 if first else -1]:
            file[name] = of
    patched(path, (b"qqu2", b"qqu1"))

    assert refused(path, "qqu1").startswith("is a link")


def test_a_name_that_is_a_path_is_not_walked(path):
    with h5py.File(path, "w") as file:
        file.create_group("a")["b"] = h5py.ExternalLink("other.h5", "/b")
        file["a_b"] = X
    patched(path, (b"a_b\0", b"a/b\0"))

    assert refused(path, "a/b") == "has a name that is a path; expected one without /"


def bfloat16():
    kind = h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    return kind


def shifted():
    kind = h5t.STD_I32LE.copy()
    kind.set_precision(16)
    kind.set_offset(8)
    return kind


@pytest.mark.parametrize(
    "kind", [bfloat16(), shifted(), h5t.IEEE_F16BE, h5t.IEEE_F64BE, h5t.STD_U8LE, h5t.STD_I64BE]
)
def test_numbers_are_what_they_are_in_whatever_form(path, kind):
    with h5py.File(path, "w") as file:
        data = h5d.create(file.id, b"x", kind, h5s.create_simple((3, 2)))
        data.write(h5s.ALL, h5s.ALL, X)

    np.testing.assert_array_equal(read(path, "x"), X)
    assert read(path, "x").dtype == np.float32


@pytest.mark.parametrize("chunk", [None, (64, 64)])
def test_what_was_never_stored_is_zero_and_not_what_memory_held(path, chunk):
    settings = h5p.create(h5p.DATASET_CREATE)
    settings.set_fill_time(h5d.FILL_TIME_NEVER)
    if chunk:
        settings.set_chunk(chunk)
    with h5py.File(path, "w") as file:
        h5d.create(file.id, b"x", h5t.IEEE_F32LE, h5s.create_simple((64, 64)), settings)

    for _ in range(5):
        held = np.full((64, 64), 7, np.float32)
        del held
        assert not read(path, "x").any()
