"""Malicious files, and a fence: a process with limited memory and time that reads them."""

import json
import os
import resource
import signal
import struct
import traceback
import zlib
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.numpy

from ifmmin.core.errors import UserError

pa.array(range(1000))  # Arrow reserves a gigabyte at its first array; it must do so outside the fence

SECONDS = 20
SLACK, PER_BYTE = 1 << 30, 128
"""The memory bound of docs/reliability.md: 1 GiB plus 128 bytes for each byte of the file."""


def fenced(act, size=0, seconds=SECONDS):
    """Run `act` in a new process with the memory allowed for a file of `size` bytes.

    Returns:
        Its result as text, "refused: " with the error message of `entry.run`, or "crash: ..." otherwise.
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.close(read_end)
        with os.fdopen(write_end, "w") as pipe:
            pipe.write(_within(act, size, seconds))
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        result = pipe.read()
    _, status = os.waitpid(child, 0)
    return result or f"crash: ended with {os.waitstatus_to_exitcode(status)}"


def _within(act, size, seconds):
    current = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
    limit = current + SLACK + PER_BYTE * size
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)  # the default action ends the process even inside C code
    try:
        return str(act()) or "nothing"
    except BaseException as error:
        return message(error) or "crash: " + traceback.format_exc()[-1500:]


def message(error):
    """The error message of a stage, as `entry.run` prints it; None if the stage would crash."""
    if isinstance(error, UserError):
        return f"refused: {error}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"refused: {error.filename}: {error.strerror}."
    return None


DEEP = "[" * 100_000
JSONS = {
    "deep": DEEP,
    "deep in a group": '{"a":' * 100_000,
    "not closed": '{"a": ',
    "list": "[]",
    "null": "null",
    "nan": "NaN",
    "long number": '{"mean": [' + "9" * 5000 + '], "std": [1]}',
    "large number": '{"mean": [1' + "0" * 400 + '], "std": [1], "seconds": 1' + "0" * 400 + "}",
    "strings": '{"mean": "x", "std": {"a": 1}, "build": [], "fit": 1, "runs": {}, "classes": "ab"}',
    "nothing but lists": '{"runs": [[]], "classes": [[]], "mean": [[1]], "std": [[1]]}',
    "unhashable": '{"runs": [{"system": [], "fold": {}, "seed": null}]}',
    "nulls": '{"runs": null, "classes": null, "mean": null, "std": null, "build": null, "fit": null}',
    "ragged": '{"mean": [1, [2]], "std": [[1], 2]}',
    "not finite": '{"mean": [NaN, Infinity], "std": [1, -Infinity]}',
    "half a character": '{"name": "\\ud800", "extractors": {"a": "\\udfff"}, "classes": ["\\ud800"]}',
    "a key twice": '{"mean": [1], "mean": 2, "std": [1]}',
    "lists of nothing": '{"runs": [' + "[]," * 100_000 + "[]]}",
    "another encoding": '{"name": "λ"}'.encode("utf-16"),
    "empty": "",
    "zeros": b"\0" * 100,
}
CSVS = {
    "empty": "",
    "a line": "\n",
    "zeros": b"\0" * 1000,
    "no text": b"\xff\xfe\xfd\n\x80\n",
    "a head": "system,epoch\n",
    "a long name": "a" * 1_000_000 + "\n1\n",
    "more cells than columns": "epoch,lr\n" + "1,2,3,4\n" * 3,
    "one more in the middle": "epoch,lr\n1,2\n1,2,3\n",
    "an open quote": 'epoch,lr\n"1,2\n1,2\n',
    "columns twice": "epoch,chosen,chosen,lr,L,L,validation_L_cls,validation_wa,validation_ua\n"
    + "1," * 8
    + "1\n",
    "words": "epoch,chosen,lr,L,validation_L_cls,validation_wa,validation_ua\n" + "a," * 6 + "b\n",
    "long number": "epoch,chosen\n" + "9" * 10_000 + ",1e999999999\n",
    "long cell": "system,epoch\n" + "x" * 1_000_000 + ",1\n",
}
BOMB = "a: &a [x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n"
    for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join(['*' + old] * 10)}]}}\n"
    for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
)
YAMLS = {
    "billion laughs": BOMB,
    "merges": MERGES,
    "itself": "&a [*a]",
    "deep": "[" * 500,
    "deep groups": "{a: " * 500,
    "a command": "K: !!python/object/apply:os.system ['touch executed']",
    "a name": "K: !!python/name:os.system",
    "a key twice": "K: 1\nK: 2\n",
    "no number": "K: !!int x",
    "no truth": "K: !!bool x",
    "no day": "K: 2001-99-99",
    "long number": "K: " + "1" * 5000,
    "long binary number": "K: 0b" + "1" * 90_000,
    "keys of all kinds": "1: 2\n~: 3\n[a]: 4\n2001-01-01: 5\n!!set {x}: 6\n",
    "set": "rows: !!set {x}\nK: {}\nfolds: 1\nseeds: [[]]\nsystems: []\nmodel: x\n",
    "large": "#" * 300_000,
    "braces": "'{x}': '{y}'\nsystems: {'{a}': {'{b}': {}}}\ncorpus: '{0}'\n",
    "half a character": 'corpus: "\\ud800"\n',
    "nothing": "",
    "zeros": b"\0",
    "no text": b"\xff",
    "two documents": "--- 1\n--- 2\n",
    "another version": "%YAML 9.9\n---\na: 1\n",
}


def npy(descr="<f4", shape=(2, 3), order="False", content=b"", version=1):
    """A .npy file with an arbitrary header."""
    header = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape!r}, }}\n".encode("latin1")
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header + content


NPYS = {
    "petabytes": npy(shape=(10**15, 4)),
    "more than can be counted": npy(shape=(2**63, 2**63)),
    "more than any number": npy(shape=(10**4000, 1)),
    "minus": npy(shape=(-1, 4), content=b"\0" * 64),
    "overflow to small": npy(shape=(2**62, 4)),
    "no shape": npy(shape=()),
    "shape of text": npy(shape=("a",)),
    "true": npy(shape=(True, 4), content=b"\0" * 16),
    "words of no letters": npy("|S0", (10**12,)),
    "letters of no words": npy("<U0", (10**12, 1)),
    "nothing, wide": npy("<f4", (0, 10**15)),
    "long words": npy("|S2000000000", (10**6,)),
    "objects": npy("|O", (1,), content=b"cos\nsystem\n(S'touch executed'\ntR."),
    "compound": npy([("x", "<f4"), ("y", "|O")], (1,)),
    "no character": npy("<U1", (1,), content=struct.pack("<I", 0x7FFFFFFF)),
    "half a character": npy("<U1", (1,), content=struct.pack("<I", 0xD800)),
    "other keys": b"\x93NUMPY\x01\0\x10\0{'a': 1}       \n",
    "code": b"\x93NUMPY\x01\0\x26\0{'descr': __import__('os').abort()}   \n",
    "deep": b"\x93NUMPY\x02\0" + struct.pack("<I", 9000) + b"(" * 9000,
    "long header": b"\x93NUMPY\x02\0" + struct.pack("<I", 2**32 - 1) + b"{",
    "version": npy(version=9),
    "times": npy("<M8[D]", (2,), content=b"\xff" * 16),
    "longest numbers": npy("<f16", (2, 3), content=b"\xff" * 96),
    "an archive": b"PK\x03\x04" + b"\0" * 100,
    "a pickle": b"\x80\x04cos\nsystem\n.",
    "empty": b"",
}


def st(header, content=b"", length=None):
    """A safetensors file with an arbitrary header."""
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + content


def tensor(dtype="F32", shape=(2,), begin=0, end=8):
    """The entry of a tensor in the header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


ABOUT = {"__metadata__": {"ifmmin": "{}"}}
SAFETENSORS = {
    "empty": b"",
    "no header": st({}),
    "a header of exabytes": st("{", length=2**63),
    "a header of all": st("{", length=2**64 - 1),
    "a header of megabytes": st("{", length=90_000_000),
    "past the end": st({"a": tensor(end=2**40, shape=[2**38]), **ABOUT}),
    "backwards": st({"a": tensor(begin=8, end=0), **ABOUT}, b"\0" * 8),
    "overlapping": st({"a": tensor(), "b": tensor(begin=4, end=12), **ABOUT}, b"\0" * 12),
    "the same": st({"a": tensor(), "b": tensor(), **ABOUT}, b"\0" * 8),
    "a hole": st({"a": tensor(begin=8, end=16), **ABOUT}, b"\0" * 16),
    "another size": st({"a": tensor(shape=[3]), **ABOUT}, b"\0" * 8),
    "a shape that overflows": st({"a": tensor(shape=[2**62, 4], end=0), **ABOUT}),
    "nothing, wide": st({"a": tensor(shape=[0, 2**40], end=0), **ABOUT}),
    "minus": st({"a": tensor(shape=[-2]), **ABOUT}, b"\0" * 8),
    "an unknown type": st({"a": tensor("O"), **ABOUT}, b"\0" * 8),
    "whole numbers": st({"a": tensor("I64", [1]), **ABOUT}, b"\0" * 8),
    "deep": st(DEEP),
    "deep settings": st({"a": tensor(), "__metadata__": {"ifmmin": DEEP}}, b"\0" * 8),
    "settings of another kind": st({"a": tensor(), "__metadata__": {"ifmmin": "[]"}}, b"\0" * 8),
    "no settings": st({"a": tensor(), "__metadata__": {}}, b"\0" * 8),
    "metadata of another kind": st({"a": tensor(), "__metadata__": {"ifmmin": 3}}, b"\0" * 8),
    "a pickle": b"\x80\x04cos\nsystem\n.",
    "one that others wrote": safetensors.numpy.save({"a": np.zeros(2, np.float32)}),
}


def parquet(columns, metadata=None, **options):
    """A parquet file of (name, array) columns."""
    table = pa.Table.from_arrays(
        [pa.array(array) for _, array in columns], names=[name for name, _ in columns]
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata), sink, **{"compression": "none", **options})
    return sink.getvalue().to_pybytes()


def parquets():
    """Malicious parquet files with the column names of the artifacts."""
    words = ["x_1", "y_1"]
    logits = [("logit_a", np.float32([1, 0])), ("logit_b", np.float32([0, 1]))]
    fixed = [("utterance_id", words), ("condition", ["a", "v"]), ("label", [0, 1]), ("predicted", [0, 1])]
    floats = pa.list_(pa.float32())
    return {
        "empty": b"",
        "marks alone": b"PAR1PAR1",
        "a long footer": b"PAR1" + struct.pack("<I", 2**31) + b"PAR1",
        "compressed": parquet([("utterance_id", words), ("role", words)], compression="gzip"),
        "no columns": parquet([]),
        "columns twice": parquet([*fixed, *logits, logits[0]], {"run": "{}"}),
        "ids twice": parquet([("utterance_id", words), ("utterance_id", words)]),
        "no logits": parquet(fixed, {"run": "{}"}),
        "nulls": parquet([("utterance_id", [None, "a"]), ("role", ["train", "train"])]),
        "null numbers": parquet([*fixed[:2], ("label", [None, 1]), fixed[3], *logits], {"run": "{}"}),
        "metadata that is no text": parquet([*fixed, *logits], {b"run": b"\xff"}),
        "deep metadata": parquet([*fixed, *logits], {"run": DEEP}),
        "metadata of another kind": parquet([*fixed, *logits], {"run": "[1]"}),
        "no metadata": parquet([*fixed, *logits]),
        "lists of lists": parquet([("utterance_id", [[["a"]]]), ("role", [[[]]])]),
        "H_prime of two lengths": parquet([*fixed[:2], ("H_prime", pa.array([[1.0], [1.0, 2.0]], floats))]),
        "H_prime without a row": parquet(
            [("utterance_id", ["a"]), ("condition", ["a"]), ("H_prime", pa.array([None], floats))]
        ),
        "H_prime not finite": parquet(
            [("utterance_id", ["a"]), ("condition", ["a"]), ("H_prime", pa.array([[np.nan]], floats))]
        ),
    }


def chunks(file, name, shape, chunk, content, filters="gzip", **options):
    """A data set whose first chunk has exactly these bytes."""
    data = file.create_dataset(name, shape, np.float32, chunks=chunk, compression=filters, **options)
    data.id.write_direct_chunk((0, 0), content)


def gzip_twice(file, name):
    """Half a gigabyte of zeros in half a kilobyte, compressed twice."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((10, 5))
    settings.set_deflate(9)
    settings.set_deflate(9)
    space = h5py.h5s.create_simple((10, 5))
    data = h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F32LE, space, dcpl=settings)
    data.write_direct_chunk((0, 0), zlib.compress(ZEROS, 9))


LZF = b"\0\0" + b"\xe0\xff\0" * 100_000
ZEROS = zlib.compress(b"\0" * (1 << 29), 9)


def others(file, name):
    """A data set with two names."""
    file["another"] = np.ones((3, 5), np.float32)
    file[name] = file["another"]


def unnamed(file, name):
    """No data set with the expected name, and one whose name is not text."""
    file[b"\xff\xfe"] = np.ones((3, 5), np.float32)


def rows(file, name, shape, **options):
    """A data set with a shape and no content."""
    file.create_dataset(name, shape, **options)


HDF5S = {
    "terabytes of a fill value": lambda f, n: rows(
        f, n, (10**10, 130), dtype="f4", chunks=(10**4, 130), fillvalue=1
    ),
    "terabytes without chunks": lambda f, n: rows(f, n, (10**10, 130), dtype="f4"),
    "gigabytes of a byte": lambda f, n: rows(f, n, (10**7, 100), dtype="i1", chunks=(10**4, 100)),
    "more than can be counted": lambda f, n: rows(f, n, (2**40, 2**20), dtype="f4", chunks=(1, 2**20)),
    "a million chunks": lambda f, n: rows(f, n, (1000, 1000), dtype="f4", chunks=(1, 1)),
    "one huge chunk": lambda f, n: rows(
        f, n, (1, 5), dtype="f4", chunks=(2**26, 5), maxshape=(None, 5), compression="gzip"
    ),
    "a bomb of gzip": lambda f, n: chunks(f, n, (10, 5), (10, 5), ZEROS),
    "a bomb of gzip behind shuffle": lambda f, n: chunks(f, n, (10, 5), (10, 5), ZEROS, shuffle=True),
    "a bomb in a bomb": gzip_twice,
    "gzip that is none": lambda f, n: chunks(f, n, (10, 5), (10, 5), b"\xff" * 99),
    "a bomb of lzf": lambda f, n: chunks(f, n, (10, 5), (10, 5), LZF, filters="lzf"),
    "another packing": lambda f, n: f.create_dataset(n, data=np.ones((10, 5), np.float32), scaleoffset=2),
    "two names": others,
    "names that are no text": unnamed,
    "references": lambda f, n: f.create_dataset(n, (3, 5), h5py.ref_dtype),
    "numbers of any length": lambda f, n: f.create_dataset(n, (3, 5), h5py.vlen_dtype(np.float32)),
    "arrays in cells": lambda f, n: f.create_dataset(n, (3, 5), np.dtype((np.float32, (4,)))),
    "compound": lambda f, n: f.create_dataset(n, (3, 5), [("x", "f4"), ("y", h5py.ref_dtype)]),
    "a group": lambda f, n: f.create_group(n).create_group("deeper"),
    "itself": lambda f, n: f.__setitem__(n, f["/"]),
    "a soft link to itself": lambda f, n: f.__setitem__(n, h5py.SoftLink(n)),
    "a type": lambda f, n: f.__setitem__(n, np.dtype("f4")),
    "not finite": lambda f, n: f.create_dataset(n, data=np.full((3, 5), np.nan)),
    "nothing": lambda f, n: None,
}
"""Functions of file and name that put something malicious under an utterance's id."""
