"""Frames [T, D] out of somebody else's HDF5 file: nothing is followed, executed or believed.

What is read at once may claim SLACK bytes and CLAIM more for each byte of its file: room for padding packed
by gzip, none for a few bytes that claim terabytes. h5py's low-level calls take half the time of its data
sets, of which a corpus has thousands.
"""

import math
import zlib

import h5py
import numpy as np
from h5py import h5d, h5l, h5o, h5s, h5z
from numpy.typing import NDArray

from ifmmin.errors import UserError

SLACK, CLAIM = 1 << 28, 32
CHUNK = 1 << 13
"""Bytes that a chunk claims at least: what HDF5 keeps of it in memory."""


def listed(file: h5py.File) -> dict[str, bool]:
    """Names in a file, and whether each is of something in this very file.

    Raises:
        OSError, RuntimeError, KeyError, ValueError: if HDF5 cannot list them.
    """
    links: dict[bytes, bool] = {}

    def note(key: bytes, link: h5l.LinkInfo) -> None:
        links[key] = links.get(key, True) and link.type == h5l.TYPE_HARD  # a name may be there twice

    file.id.links.iterate(note, info=True)
    return {key.decode("utf-8", "surrogateescape"): here for key, here in links.items()}


def frames(file: h5py.File, name: str, here: bool, left: int) -> tuple[NDArray[np.float32], int]:
    """Read one data set, which must lie in this very file, under this one name, and hold numbers [T, D].

    Args:
        file: that is open.
        name: of the data set, as listed.
        here: whether it is in the file, as listed.
        left: bytes that it may claim.

    Returns:
        The frames, finite, and the bytes that they claimed.

    Raises:
        UserError: if it is anything else, says what; the sentence begins with a verb.
        OSError, RuntimeError, KeyError, TypeError, ValueError, MemoryError: if HDF5 cannot read it.
    """
    try:
        key = name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError("has no UTF-8 name") from error
    if b"/" in key or key == b".":
        raise UserError("has a name that is a path; expected one without /")
    if not here:
        raise UserError("is a link; links are not followed. Expected a data set in the file itself")
    data = h5o.open(file.id, key)
    if not isinstance(data, h5d.DatasetID):
        raise UserError("is a group; expected a data set [T, D]")
    if h5o.get_info(data).rc > 1:
        raise UserError("shares its data set with another name; expected one of its own")
    settings, dtype, shape = data.get_create_plist(), data.dtype, data.get_space().shape
    if settings.get_external_count() or settings.get_layout() == h5d.VIRTUAL:
        raise UserError("keeps its values in another file; expected them in this one")
    if dtype.kind not in "fiu":
        raise UserError(f"has type {dtype}; expected numbers")
    if len(shape) != 2 or 0 in shape:
        raise UserError(f"has shape {list(shape)}; expected [T, D] with at least one frame and one column")
    claim = _claim(shape, dtype.itemsize, settings, left)
    if settings.get_nfilters():
        _check_packing(data, dtype.itemsize, settings)
    values = np.zeros(shape, dtype)  # HDF5 writes nothing where nothing was stored
    data.read(h5s.ALL, h5s.ALL, values)
    return _finite(values), claim


def _claim(shape: tuple[int, int], itemsize: int, settings: h5py.h5p.PropDCID, left: int) -> int:
    """Bytes that reading a data set takes, which must not be more than are left."""
    size = max(4, itemsize)  # float32 is what comes of it
    claim: int = math.prod(shape) * size
    if settings.get_layout() == h5d.CHUNKED:
        chunks = settings.get_chunk()
        number = math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))
        claim = number * max(math.prod(chunks) * size, CHUNK)
    if claim > left:
        raise UserError(
            f"has shape {list(shape)}, {claim} bytes to read; expected at most {left}, since what is "
            f"read of a file may take {SLACK}, and {CLAIM} for each byte of it"
        )
    return claim


def _check_packing(data: h5d.DatasetID, itemsize: int, settings: h5py.h5p.PropDCID) -> None:
    """Refuse chunks that unpack to more than a chunk: HDF5 unpacks them whole, however much comes out."""
    filters = [settings.get_filter(n)[0] for n in range(settings.get_nfilters())]
    packers = [f for f in filters if f not in (h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32)]
    if not packers:
        return
    most = math.prod(settings.get_chunk()) * itemsize + 4  # its checksum may be packed with it
    if packers == [h5z.FILTER_LZF] and most < SLACK >> 6:  # it unpacks to < 100 times that
        if data.chunk_iter(lambda chunk: chunk.size > most or None):
            raise UserError("has a chunk that lzf has made larger; fetch it again")
        return
    if packers != [h5z.FILTER_DEFLATE]:
        raise UserError("is packed in another way than once by gzip or lzf; expected that, or no packing")
    plain = 1 << filters.index(h5z.FILTER_DEFLATE)

    def unpacks(chunk: h5d.StoreInfo) -> bool | None:
        packed = data.read_direct_chunk(chunk.chunk_offset)[1]
        try:
            return len(zlib.decompressobj().decompress(packed, most + 1)) > most or None
        except zlib.error:
            return None if chunk.filter_mask & plain else True

    if data.chunk_iter(unpacks):
        raise UserError("has a chunk that gzip cannot unpack, or not within its size; fetch it again")


def _finite(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Numbers in float32, which must be finite there."""
    if values.dtype == np.float32:
        found: NDArray[np.float32] = values.astype(np.float32, copy=False)
    else:
        with np.errstate(over="ignore"):
            found = values.astype(np.float32)
    good = np.isfinite(found)
    if not good.all():
        row, column = np.unravel_index(good.argmin(), good.shape)
        raise UserError(
            f"has {int((~good).sum())} values that are not finite in float32, first {values[row, column]} "
            f"in frame {row}, column {column}; expected finite numbers"
        )
    return found
