"""The safetensors format: arrays by name, and texts by name, in bytes that are only data.

    8 bytes       length of the header, little-endian
    header        JSON, {name: {"dtype": "F32", "shape": [784, 128], "data_offsets": [begin, end]}, ...}, padded with
                  spaces; under "__metadata__" a dict of texts
    data          the arrays, little-endian and row-major; offsets count from here, without gaps or overlaps

Described in the documentation of https://github.com/huggingface/safetensors. Here nothing is believed that was not
checked: sizes are compared with the bytes that are there before anything is made of them, and whatever is wrong is a
`ModelFileError` that says what.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_HEADER = 1 << 22  # bytes; a header of 1,000 layers with all that an optimizer keeps has less than half of that
_MAX_DEPTH = 20  # of nested JSON
_MAX_DIGITS = 20  # of a whole number, with its sign; 2^64 - 1 has as many
_ALIGNMENT = 64  # of the data within the file
_METADATA = "__metadata__"

# Without the types that NumPy does not have, such as BF16.
_DTYPES = {
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "I8": "|i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "|u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}

_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive, such as a .keras, .npz or .pt file",
    b"\x89HDF": "an HDF5 file, such as Keras's .h5",
    b"\x80": "a Python pickle",
    b"\x93NUMPY": "a NumPy .npy file",
}


class ModelFileError(ValueError):
    """A model file is damaged, or is not what it should be; the message names the file and what is wrong."""


# ---------------------------------------------------------------- JSON


def parse_json(text: str, what: str) -> Any:
    """The value of a JSON text. Raises ModelFileError for what is no JSON, and for what strict readers refuse:

    duplicate keys, NaN and infinities, numbers beyond float64, integers of more than 20 digits, unpaired surrogates,
    more than 20 levels of nesting.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_finite,
        )
        _check_levels(value)
    except RecursionError:
        raise ModelFileError(f"{what} is nested too deeply") from None
    except ModelFileError as error:
        raise ModelFileError(f"{what} {error}") from None
    except ValueError as error:
        raise ModelFileError(f"{what} is not valid JSON: {error}") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ModelFileError(f"has the key {shorten(name)} twice")
        _check_text(name)
        result[name] = value
    return result


def _check_text(value: str) -> None:
    """Raises ModelFileError for halves of surrogate pairs, which JSON can escape but UTF-8 cannot hold."""
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise ModelFileError(f"holds {shorten(value)}, which is no valid text")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ModelFileError(f"has a whole number of {len(digits)} digits, more than {_MAX_DIGITS}")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ModelFileError(f"has the number {shorten(digits)}, which is not finite")
    return number


def _check_levels(value: Any) -> None:
    """Looks at all texts, level by level. (Recursion could be made to fail.)"""
    level = [value]
    for _ in range(_MAX_DEPTH):
        for item in level:
            if isinstance(item, str):
                _check_text(item)
        level = [item for parent in level if isinstance(parent, (dict, list)) for item in _items(parent)]
    if level:
        raise ModelFileError(f"is nested more than {_MAX_DEPTH} levels deep")


def _items(parent: "dict[str, Any] | list[Any]") -> list[Any]:
    return list(parent.values()) if isinstance(parent, dict) else parent


def shorten(value: object, length: int = 60) -> str:
    """repr(value), of which a hostile file cannot make a page."""
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}..."


# ---------------------------------------------------------------- writing


def encode(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> list[bytes]:
    """The bytes of a file, in parts that need not be joined: those before the tensors, and one for each of them.

    Raises ValueError for names, dtypes or sizes that the format cannot hold.
    """
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    if _METADATA in tensors:
        raise ValueError(f"a tensor cannot be named {_METADATA!r}")
    data, end = [], 0
    # Large elements first, so that each array begins at a multiple of the size of its elements.
    for name, array in sorted(tensors.items(), key=lambda item: -item[1].itemsize):
        dtype = array.dtype.newbyteorder("<")
        if dtype.str not in _CODES:
            raise ValueError(f"{name} is an array of {array.dtype}, which safetensors files cannot hold")
        data.append(array.astype(dtype, copy=False).tobytes())
        begin, end = end, end + len(data[-1])
        header[name] = {"dtype": _CODES[dtype.str], "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    if len(text) > MAX_HEADER:
        raise ValueError(f"the header would have {len(text)} bytes, more than the {MAX_HEADER} that are read again")
    return [len(text).to_bytes(8, "little"), text, *data]


# ---------------------------------------------------------------- reading


def decode(file: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """(tensors, metadata) of the bytes of a file. The arrays are views of these bytes, little-endian and read-only.

    Raises ModelFileError for anything that is not a valid file; see the head of this module and `parse_json`.
    """
    text = _header(file)
    data = memoryview(file)[8 + len(text) :]
    header = parse_json(_decoded(text), "the header")
    metadata = header.pop(_METADATA, {})
    _check_metadata(metadata)
    tensors, spans = {}, []
    for name, entry in header.items():
        array, begin, end = _tensor(name, entry, data)
        tensors[name] = array
        spans.append((begin, end, name))
    _check_cover(spans, len(data))
    return tensors, metadata


def _header(file: bytes) -> bytes:
    """The bytes of the header, of a length that is there."""
    for magic, kind in _OTHER_FORMATS.items():
        if file.startswith(magic) and file[8:9] != b"{":
            raise ModelFileError(f"this is not a safetensors file but {kind}")
    if len(file) < 8:
        raise ModelFileError(f"the file has {len(file)} bytes, too few for the length of a header")
    length = int.from_bytes(file[:8], "little")
    if file[8:9] != b"{":
        raise ModelFileError("this is not a safetensors file, or its beginning is damaged: no '{' at byte 8")
    if length > len(file) - 8:
        raise ModelFileError(f"the header should have {length} bytes, but only {len(file) - 8} follow: it is cut short")
    if length > MAX_HEADER:
        raise ModelFileError(f"the header has {length} bytes, more than the {MAX_HEADER} that are read")
    return file[8 : 8 + length]


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelFileError(f"the header is not valid UTF-8 at byte {error.start}") from None


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict):
        raise ModelFileError(f"{_METADATA} is {shorten(metadata)}, not a dict of texts")
    for name, value in metadata.items():
        if not isinstance(value, str):
            raise ModelFileError(f"{_METADATA} has {shorten(value)} under {shorten(name)}, not a text")


def _tensor(name: str, entry: Any, data: memoryview) -> tuple[NDArray[Any], int, int]:
    """(array, begin, end) of one entry of the header."""
    where = f"tensor {shorten(name)}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ModelFileError(f"{where} should have dtype, shape and data_offsets, but has {shorten(entry)}")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise ModelFileError(f"{where} has the dtype {shorten(code)}; {', '.join(_DTYPES)} are read")
    if not _are_sizes(shape) or len(shape) > 32:
        raise ModelFileError(f"{where} has the shape {shorten(shape)}, not a list of up to 32 whole numbers")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ModelFileError(f"{where} has the data_offsets {shorten(offsets)}, not [begin, end]")
    begin, end = offsets
    if end > len(data):
        raise ModelFileError(f"{where} ends at byte {end} of the data, but there are only {len(data)}: cut short")
    size = math.prod(shape) * np.dtype(_DTYPES[code]).itemsize
    if size != end - begin:
        raise ModelFileError(f"{where} of shape {shorten(shape)} needs {size} bytes, but has {end - begin}")
    try:
        array: NDArray[Any] = np.ndarray(tuple(shape), _DTYPES[code], buffer=data, offset=begin)
    except ValueError as error:  # an empty array with an axis that NumPy cannot count
        raise ModelFileError(f"{where} has the shape {shorten(shape)}: {error}") from None
    return array, begin, end


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _check_cover(spans: list[tuple[int, int, str]], length: int) -> None:
    """Raises ModelFileError unless the tensors fill the data, each byte once."""
    position = 0
    for begin, end, name in sorted(spans):
        if begin != position:
            problem = "overlaps the one before it" if begin < position else f"leaves {begin - position} bytes unused"
            raise ModelFileError(f"tensor {shorten(name)} at byte {begin} of the data {problem}")
        position = end
    if position != length:
        raise ModelFileError(f"there are {length - position} bytes after the last tensor")
