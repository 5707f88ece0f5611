"""Reading frames from HDF5 files, some of them patched byte by byte to mislead the reader."""

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
    """Path of a file beside two files that must not be read."""
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["b"] = np.full((3, 2), 42, np.float32)
    (tmp_path / "secret").write_bytes(b"secret" * 4)
    return tmp_path / "x.h5"


def patch(path, *pairs):
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


def test_data_sets_are_listed_and_links_are_marked(path):
    with h5py.File(path, "w") as file:
        file["x"], file["λ"] = X, X
        file["soft"], file["external"] = h5py.SoftLink("/x"), h5py.ExternalLink("other.h5", "/b")

    with h5py.File(path) as file:
        assert hdf5.list_datasets(file) == {"x": True, "λ": True, "soft": False, "external": False}
    np.testing.assert_array_equal(read(path, "λ"), X)
    assert refused(path, "external").startswith("is a link")


def test_an_external_data_set_with_a_false_address_is_refused(path):
    """An external data set whose layout names an address in the file itself, against the format."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (24, 1), "u1", external=[(path.with_name("secret"), 0, 24)])
    patch(
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
def test_a_name_that_is_also_a_link_is_refused(path, link, first):
    with h5py.File(path, "w") as file:
        file["new style"] = link  # stores links in the group's header, even after deletion
        del file["new style"]
        for name, target in (("qqu1", link), ("qqu2", X))[:: 1 if first else -1]:
            file[name] = target
    patch(path, (b"qqu2", b"qqu1"))

    assert refused(path, "qqu1").startswith("is a link")


def test_a_name_that_is_a_path_is_refused(path):
    with h5py.File(path, "w") as file:
        file.create_group("a")["b"] = h5py.ExternalLink("other.h5", "/b")
        file["a_b"] = X
    patch(path, (b"a_b\0", b"a/b\0"))

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
def test_numbers_of_any_type_are_read_as_float32(path, kind):
    with h5py.File(path, "w") as file:
        data = h5d.create(file.id, b"x", kind, h5s.create_simple((3, 2)))
        data.write(h5s.ALL, h5s.ALL, X)

    np.testing.assert_array_equal(read(path, "x"), X)
    assert read(path, "x").dtype == np.float32


@pytest.mark.parametrize("chunk", [None, (64, 64)])
def test_values_that_were_never_written_are_zero_not_old_memory(path, chunk):
    settings = h5p.create(h5p.DATASET_CREATE)
    settings.set_fill_time(h5d.FILL_TIME_NEVER)
    if chunk:
        settings.set_chunk(chunk)
    with h5py.File(path, "w") as file:
        h5d.create(file.id, b"x", h5t.IEEE_F32LE, h5s.create_simple((64, 64)), settings)

    for _ in range(5):
        stale = np.full((64, 64), 7, np.float32)
        del stale
        assert not read(path, "x").any()
