"""Readers of the two formats that MNIST-like data comes in: IDX files (plain or gzip) and Keras's ``.npz``.

A file is not trusted: whatever is wrong with it ends in a :class:`DataFormatError` that names the file, and memory is
taken only for bytes that are really there, whatever a header promises.

An IDX file is two zero bytes, a type code (8 for uint8), the number of dimensions, each dimension as a big-endian
32-bit number, then the data in row-major order.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import zipfile

MAX_BYTES = 1 << 30  # of one unpacked array: 1.3 million images; anything larger is a damaged header or an attack
MAX_DIMENSIONS = 4

_CHUNK = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_INFLATION = 1100  # deflate cannot turn one byte into more than 1,032
_TYPE_NAMES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}


class DataFormatError(ValueError):
    """A data file is damaged, or is not what its name says; the message names the file and what is wrong."""


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read one IDX file of bytes, such as ``train-images-idx3-ubyte.gz`` or ``t10k-labels-idx1-ubyte``.

    Whether it is gzip is seen from its content, not from its name (browsers unpack downloads without renaming them).

    Args:
        path: the file.

    Returns:
        A new, writable uint8 array with the shape that the header states: (n, 28, 28) for images, (n,) for labels.

    Raises:
        DataFormatError: it is not a whole and valid IDX file of uint8: wrong magic number, another type, more than
            1 GiB, too short, too long, a damaged or truncated gzip stream, or anything after the end of the data.
        OSError: the file cannot be opened or read.
    """
    with open(path, "rb") as file:
        is_gzip = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        chunks = _gunzip(file) if is_gzip else iter(lambda: file.read(_CHUNK), b"")
        try:
            return _parse_idx(chunks)
        except DataFormatError as error:
            raise DataFormatError(f"{os.fspath(path)}: {error}") from None


def _gunzip(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a gzip file in pieces of at most ``_CHUNK`` bytes; its checksum and its end are checked.

    A consumer that stops early has unpacked no more than it took: a small file cannot fill the memory.
    """
    stream = zlib.decompressobj(wbits=31)  # 31: gzip header and checksum
    try:
        while not stream.eof:
            packed = stream.unconsumed_tail or file.read(_CHUNK)
            if not packed:
                raise DataFormatError("the gzip data end too early; the file was not copied or downloaded completely")
            yield stream.decompress(packed, _CHUNK)
    except zlib.error as error:
        raise DataFormatError(f"damaged gzip data ({error})") from None
    if stream.unused_data or file.read(1):
        raise DataFormatError("there are more bytes after the end of the gzip data")


def _parse_idx(chunks: Iterator[bytes]) -> NDArray[np.uint8]:
    """Collect the chunks of one IDX file and return its array, which owns them (no second copy of the data)."""
    buffer = bytearray()
    shape: tuple[int, ...] | None = None
    total = 0
    for chunk in chunks:
        buffer += chunk
        if shape is None:
            shape = _parse_header(buffer)
            total = 4 + 4 * len(shape) + _checked_size(shape) if shape is not None else 0
        if shape is not None and len(buffer) > total:
            raise DataFormatError(f"longer than the {total} bytes that its header announces for shape {shape}")
    if shape is None:
        _check_magic(buffer)
        raise DataFormatError(f"only {len(buffer)} bytes, too short for an IDX header")
    if len(buffer) < total:
        raise DataFormatError(f"{len(buffer)} bytes where its header announces {total} for shape {shape}")
    return np.frombuffer(buffer, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _parse_header(buffer: bytearray) -> tuple[int, ...] | None:
    """Return the shape, or None while the header is not complete."""
    if len(buffer) < 4:
        return None
    _check_magic(buffer)
    ndim = buffer[3]
    if len(buffer) < 4 + 4 * ndim:
        return None
    return tuple(int.from_bytes(buffer[i : i + 4], "big") for i in range(4, 4 + 4 * ndim, 4))


def _check_magic(head: bytearray) -> None:
    """Raise unless the first four bytes are those of an IDX file of uint8 with 1 to 4 dimensions."""
    if not head:
        raise DataFormatError("the file is empty")
    if bytes(head[:64]).lstrip().startswith(b"<"):
        raise DataFormatError("this is a web page, not data; the server answered the download with an error page")
    if bytes(head[:2]) != b"\0\0"[: len(head)]:
        raise DataFormatError(f"not an IDX file: it starts with {bytes(head[:4])!r}, not with two zero bytes")
    if len(head) < 4:
        return
    code, ndim = head[2], head[3]
    if code != 0x08:
        raise DataFormatError(f"type 0x{code:02x} ({_TYPE_NAMES.get(code, 'unknown')}); only 0x08 (uint8) is read")
    if not 1 <= ndim <= MAX_DIMENSIONS:
        raise DataFormatError(f"{ndim} dimensions; 1 to {MAX_DIMENSIONS} are read")


def _checked_size(shape: tuple[int, ...]) -> int:
    """Return the number of elements (Python integers cannot overflow); raise when that is beyond ``MAX_BYTES``."""
    size = 1
    for n in shape:
        size *= n
    if size > MAX_BYTES:
        raise DataFormatError(f"its header announces shape {shape}, more than the {MAX_BYTES} bytes that are read")
    return size


def read_npz(path: str | os.PathLike[str], names: tuple[str, ...]) -> list[NDArray[Any]]:
    """Read the named arrays of a ``.npz`` file; nothing in it is unpickled.

    Args:
        path: the file, such as Keras's ``mnist.npz``.
        names: the arrays wanted, such as ``("x_train", "y_train")``.

    Returns:
        The arrays in that order.

    Raises:
        DataFormatError: it is not a ``.npz`` file, lacks an array, is damaged, or states a size that it does not have.
        OSError: the file cannot be opened or read.
    """
    import zipfile

    with open(path, "rb") as file:
        limit = min(MAX_BYTES, _MAX_INFLATION * os.fstat(file.fileno()).st_size)
        try:
            with zipfile.ZipFile(file) as archive:
                return [_read_npy(archive, name, limit) for name in names]
        except MemoryError:
            raise
        except KeyError as error:
            problem = f"{error.args[0]}; expected the arrays {', '.join(names)}"
        except Exception as error:  # zipfile and NumPy raise a dozen kinds on damaged input, OSError among them
            problem = str(error) or type(error).__name__
    raise DataFormatError(f"{os.fspath(path)}: {problem}")


def _read_npy(archive: zipfile.ZipFile, name: str, limit: int) -> NDArray[Any]:
    """Read one array; ``np.load`` alone would take memory for any shape that the header states."""
    info = archive.getinfo(name + ".npy")
    if info.file_size > limit:
        raise DataFormatError(f"{name} announces {info.file_size} bytes, more than the {limit} that it can have")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        expected = file.tell() + _checked_size(shape) * dtype.itemsize
    if expected != info.file_size:
        raise DataFormatError(f"{name} has {info.file_size} bytes where its header announces {expected}")
    with archive.open(info) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
