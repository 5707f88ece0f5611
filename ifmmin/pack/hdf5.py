"""Read frames [T, D] from an untrusted HDF5 file. Links are not followed.

The datasets read from one file may take at most SLACK bytes plus BYTES_PER_BYTE bytes for each byte of the
file. This permits padding compressed by gzip and rejects small files that would expand to terabytes. The
low-level calls of h5py are twice as fast as its Dataset class; a corpus has thousands of datasets.
"""

import math
import zlib

import h5py
import numpy as np
from h5py import h5d, h5l, h5o, h5s, h5z
from numpy.typing import NDArray

from ifmmin.core.errors import UserError

SLACK, BYTES_PER_BYTE = 1 << 28, 32
CHUNK = 1 << 13
"""Minimum memory of a chunk in HDF5, in bytes."""


def list_datasets(file: h5py.File) -> dict[str, bool]:
    """List the names in a file, and whether each is stored in the file itself (not a link).

    Raises:
        OSError, RuntimeError, KeyError, ValueError: if HDF5 cannot list the names.
    """
    links: dict[bytes, bool] = {}

    def note(key: bytes, link: h5l.LinkInfo) -> None:
        links[key] = links.get(key, True) and link.type == h5l.TYPE_HARD  # a name may occur twice

    file.id.links.iterate(note, info=True)
    return {key.decode("utf-8", "surrogateescape"): local for key, local in links.items()}


def frames(file: h5py.File, name: str, local: bool, budget: int) -> tuple[NDArray[np.float32], int]:
    """Read one dataset: numbers [T, D], stored in the file itself and under this name only.

    Args:
        file: open file.
        name: name of the dataset, from list_datasets.
        local: whether it is stored in the file itself, from list_datasets.
        budget: maximum number of bytes to read.

    Returns:
        The frames [T, D] float32, finite, and the number of bytes that reading them took.

    Raises:
        UserError: if the dataset is invalid; the message starts with a verb ("has shape ...").
        OSError, RuntimeError, KeyError, TypeError, ValueError, MemoryError: if HDF5 cannot read it.
    """
    try:
        key = name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError("has no UTF-8 name") from error
    if b"/" in key or key == b".":
        raise UserError("has a name that is a path; expected one without /")
    if not local:
        raise UserError("is a link; links are not followed. Expected a dataset in the file itself")
    data = h5o.open(file.id, key)
    if not isinstance(data, h5d.DatasetID):
        raise UserError("is a group; expected a dataset [T, D]")
    if h5o.get_info(data).rc > 1:
        raise UserError("shares its dataset with another name; expected one dataset per name")
    settings, dtype, shape = data.get_create_plist(), data.dtype, data.get_space().shape
    if settings.get_external_count() or settings.get_layout() == h5d.VIRTUAL:
        raise UserError("keeps its values in another file; expected them in this file")
    if dtype.kind not in "fiu":
        raise UserError(f"has type {dtype}; expected numbers")
    if len(shape) != 2 or 0 in shape:
        raise UserError(f"has shape {list(shape)}; expected [T, D] with at least one frame and one column")
    size = _size(shape, dtype.itemsize, settings, budget)
    if settings.get_nfilters():
        _check_compression(data, dtype.itemsize, settings)
    values = np.zeros(shape, dtype)  # HDF5 leaves unallocated chunks unwritten
    data.read(h5s.ALL, h5s.ALL, values)
    return _finite(values), size


def _size(shape: tuple[int, int], itemsize: int, settings: h5py.h5p.PropDCID, budget: int) -> int:
    """Number of bytes that reading a dataset takes.

    Raises:
        UserError: if it exceeds the budget.
    """
    value_size = max(4, itemsize)  # values are converted to float32
    size: int = math.prod(shape) * value_size
    if settings.get_layout() == h5d.CHUNKED:
        chunks = settings.get_chunk()
        n_chunks = math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))
        size = n_chunks * max(math.prod(chunks) * value_size, CHUNK)
    if size > budget:
        raise UserError(
            f"has shape {list(shape)}, {size} bytes to read; expected at most {budget} (limit for a file: "
            f"{SLACK} bytes plus {BYTES_PER_BYTE} per byte of the file)"
        )
    return size


def _check_compression(data: h5d.DatasetID, itemsize: int, settings: h5py.h5p.PropDCID) -> None:
    """Reject chunks that decompress to more than the chunk size; HDF5 itself has no limit.

    Raises:
        UserError: if a chunk is too large or the compression is not supported.
    """
    filters = [settings.get_filter(n)[0] for n in range(settings.get_nfilters())]
    codecs = [f for f in filters if f not in (h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32)]
    if not codecs:
        return
    limit = math.prod(settings.get_chunk()) * itemsize + 4  # 4 bytes for a checksum
    if codecs == [h5z.FILTER_LZF] and limit < SLACK >> 6:  # lzf expands less than 100 times
        if data.chunk_iter(lambda chunk: chunk.size > limit or None):
            raise UserError("has an lzf chunk larger than its uncompressed size. Download the file again")
        return
    if codecs != [h5z.FILTER_DEFLATE]:
        raise UserError("has an unsupported compression; expected gzip or lzf, applied once, or none")
    gzip_skipped = 1 << filters.index(h5z.FILTER_DEFLATE)

    def invalid(chunk: h5d.StoreInfo) -> bool | None:
        compressed = data.read_direct_chunk(chunk.chunk_offset)[1]
        try:
            return len(zlib.decompressobj().decompress(compressed, limit + 1)) > limit or None
        except zlib.error:
            return None if chunk.filter_mask & gzip_skipped else True

    if data.chunk_iter(invalid):
        raise UserError("has a gzip chunk that is damaged or exceeds the chunk size. Download the file again")


def _finite(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Convert values to float32.

    Raises:
        UserError: if a value is not finite in float32.
    """
    if values.dtype == np.float32:
        converted: NDArray[np.float32] = values.astype(np.float32, copy=False)
    else:
        with np.errstate(over="ignore"):
            converted = values.astype(np.float32)
    finite = np.isfinite(converted)
    if not finite.all():
        row, column = np.unravel_index(finite.argmin(), finite.shape)
        raise UserError(
            f"has {int((~finite).sum())} values that are not finite in float32, first {values[row, column]} "
            f"in frame {row}, column {column}; expected finite numbers"
        )
    return converted
