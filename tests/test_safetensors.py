"""The safetensors format: what is right is read, by us and by the `safetensors` library, and whatever else is a
ModelFileError that says what is wrong."""

import json
import random
import time
import tracemalloc

import numpy as np
import pytest
from helpers_saving import encode

from mnist_c._safetensors import MAX_HEADER, ModelFileError, decode, parse_json

DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
SHAPES = [(), (0,), (1,), (3, 0), (2, 3), (2, 3, 4)]


def arrays():
    """One array of each dtype, in different shapes."""
    draw = np.random.default_rng(1)
    return {dtype: np.array(draw.integers(0, 100, SHAPES[i % len(SHAPES)]), dtype) for i, dtype in enumerate(DTYPES)}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def file_of(header, data=b""):
    """A file with that header, a dict or a text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


# ---------------------------------------------------------------- right files


def test_arrays_and_texts_come_back_as_they_were():
    texts = {"format": "pt", "": "", "Ziffern é 数": '\x00\n"quoted" \\ 🙂'}
    tensors, metadata = decode(encode(arrays(), texts))
    assert_same(tensors, arrays())
    assert metadata == texts
    assert not any(array.flags.writeable for array in tensors.values())


def test_any_layout_in_memory_is_written_row_by_row():
    a = np.arange(24, dtype=np.float32).reshape(4, 6)
    given = {"transposed": a.T, "strided": a[::2, ::3], "backwards": a[::-1], "big-endian": a.astype(">f4")}
    tensors, _ = decode(encode(given, {}))
    assert_same(tensors, {name: np.ascontiguousarray(array).astype("<f4") for name, array in given.items()})


def test_bytes_are_those_of_the_format():
    file = encode({"a": np.array([1, 2], np.uint8), "b": np.array([[1.5]], np.float32)}, {"k": "v"})
    length = int.from_bytes(file[:8], "little")
    assert (8 + length) % 64 == 0
    header = file[8 : 8 + length]
    assert header.rstrip(b" ") == (
        b'{"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},'
        b'"a":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}'
    )
    assert file[8 + length :] == bytes.fromhex("0000c03f 0102")


def test_every_array_is_aligned_within_the_file():
    file = encode({**arrays(), "more": np.zeros(3, np.uint8), "last": np.zeros(2)}, {})
    start = 8 + int.from_bytes(file[:8], "little")
    for name, value in json.loads(file[8:start]).items():
        if name != "__metadata__":
            assert (start + value["data_offsets"][0]) % decode(file)[0][name].itemsize == 0, name


def test_order_of_tensors_and_empty_ones_do_not_matter():
    header = {"b": entry(offsets=(8, 16)), "none": entry(shape=(5, 0), offsets=(8, 8)), "a": entry(offsets=(0, 8))}
    tensors, metadata = decode(file_of(header, np.arange(4, dtype="<f4").tobytes()))
    assert_same(tensors, {"a": np.float32([0, 1]), "b": np.float32([2, 3]), "none": np.zeros((5, 0), np.float32)})
    assert metadata == {}


def test_file_without_tensors_is_a_file():
    assert decode(encode({}, {})) == ({}, {})
    assert decode(file_of(b"{}")) == ({}, {})


@pytest.mark.parametrize("array", [np.zeros(2, bool), np.zeros(2, complex), np.array([None]), np.array(["a"])])
def test_dtypes_that_the_format_lacks_are_refused(array):
    with pytest.raises(ValueError, match="x is an array of"):
        encode({"x": array}, {})


def test_names_that_cannot_be_read_again_are_refused():
    with pytest.raises(ValueError, match="__metadata__"):
        encode({"__metadata__": np.zeros(1)}, {})
    with pytest.raises(ValueError, match="surrogates"):
        encode({"\ud800": np.zeros(1)}, {})
    with pytest.raises(ValueError, match="header would have"):
        encode({}, {"text": "x" * MAX_HEADER})


# ---------------------------------------------------------------- the library


def test_the_safetensors_library_reads_our_files(tmp_path):
    library = pytest.importorskip("safetensors", reason="needs the safetensors library")
    from safetensors.numpy import load_file

    path = tmp_path / "ours.safetensors"
    path.write_bytes(encode(arrays(), {"name": "é"}))
    assert_same(load_file(path), arrays())
    with library.safe_open(path, "np") as file:
        assert file.metadata() == {"name": "é"}


def test_files_of_the_safetensors_library_are_read():
    pytest.importorskip("safetensors", reason="needs the safetensors library")
    from safetensors.numpy import save

    tensors, metadata = decode(save(arrays(), {"name": "é"}))
    assert_same(tensors, arrays())
    assert metadata == {"name": "é"}


def test_nothing_that_the_safetensors_library_refuses_is_accepted():
    library = pytest.importorskip("safetensors", reason="needs the safetensors library")
    from safetensors.numpy import load, save

    draw = random.Random(5)
    start = save({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(4, dtype=np.uint8)}, {"k": "v"})
    accepted = 0
    for _ in range(3000):
        file = bytearray(start)
        for _ in range(draw.randint(1, 2)):
            file[draw.randrange(len(file))] = draw.choice(b'0123456789",:{}[] FUIabk\x00\xff')
        try:
            ours = decode(bytes(file))[0]
        except ModelFileError:
            continue
        accepted += 1
        try:
            theirs = load(bytes(file))
        except library.SafetensorError as error:
            pytest.fail(f"{error}: {bytes(file)}")
        assert_same(ours, theirs)
    assert accepted > 100  # names and values changed to others


# ---------------------------------------------------------------- wrong files

GOOD = file_of({"__metadata__": {"k": "v"}, "a": entry()}, bytes(8))
DEEP = b'{"a":' * 100_000


def with_tensor(**changes):
    return file_of({"a": {**entry(), **changes}}, bytes(8))


BROKEN = {
    "empty": (b"", "0 bytes"),
    "cut within the length": (GOOD[:7], "7 bytes"),
    "cut after the length": (GOOD[:8], "no '{'"),
    "cut within the header": (GOOD[:30], "cut short"),
    "cut within the data": (GOOD[:-1], "ends at byte 8 of the data, but there are only 7"),
    "more bytes": (GOOD + b"\0", "1 bytes after the last tensor"),
    "zip": (b"PK\x03\x04" + bytes(100), "zip archive, such as a .keras"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5 file"),
    "pickle": (b"\x80\x04\x95" + bytes(100), "pickle"),
    "npy": (b"\x93NUMPY\x01\0" + bytes(100), ".npy"),
    "text": (b"<!DOCTYPE html><html></html>", "not a safetensors file"),
    "no header": (bytes(8), "no '{'"),
    "length of 2^63": ((2**63).to_bytes(8, "little") + b"{}", "only 2 follow"),
    "length of 2^64 - 1": (b"\xff" * 8 + b"{}", "only 2 follow"),
    "header beyond the limit": (file_of(b"{" + b" " * MAX_HEADER + b"}"), f"more than the {MAX_HEADER}"),
    "header begins with a space": (file_of(b" {}"), "no '{'"),
    "not UTF-8": (file_of(b'{"\xff":1}'), "not valid UTF-8 at byte 2"),
    "not JSON": (file_of(b"{'a': 1}"), "not valid JSON"),
    "text after the JSON": (file_of(b"{} {}"), "not valid JSON"),
    "NUL as padding": (file_of(b"{}\0\0"), "not valid JSON"),
    "deep objects": (file_of(DEEP), "nested too deeply|not valid JSON"),
    "deep but valid": (file_of(b'{"a":' + b"[" * 25 + b"]" * 25 + b"}"), "more than 20 levels"),
    "nested ever deeper": (file_of(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"), "nested"),
    "NaN": (file_of(b'{"a":NaN}'), "NaN"),
    "infinity": (file_of(b'{"a":-Infinity}'), "Infinity"),
    "huge float": (file_of(b'{"a":1e999}'), "not finite"),
    "huge integer": (file_of(b'{"a":' + b"9" * 100_000 + b"}"), "100000 digits"),
    "integer beyond 64 bits": (file_of(b'{"a":-' + b"9" * 20 + b"}"), "number of 21 digits"),
    "the same tensor twice": (file_of(b'{"a":1,"b":2,"a":3}'), "'a' twice"),
    "the same key twice": (
        file_of(b'{"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,8]}}', bytes(8)),
        "'dtype' twice",
    ),
    "half a surrogate as a name": (file_of(b'{"\\ud800":1}'), "no valid text"),
    "metadata is a list": (file_of({"__metadata__": ["a"]}), "not a dict of texts"),
    "metadata is null": (file_of({"__metadata__": None}), "not a dict of texts"),
    "metadata holds a number": (file_of({"__metadata__": {"k": 1}}), "1 under 'k'"),
    "metadata holds a dict": (file_of({"__metadata__": {"k": {}}}), "under 'k'"),
    "metadata holds half a surrogate": (file_of(b'{"__metadata__":{"k":"\\udfff"}}'), "no valid text"),
    "entry is a number": (file_of({"a": 5}), "should have dtype, shape and data_offsets"),
    "entry is a list": (file_of({"a": ["dtype", "shape", "data_offsets"]}), "should have dtype"),
    "no dtype": (file_of({"a": {"shape": [2], "data_offsets": [0, 8]}}, bytes(8)), "should have dtype"),
    "one thing more": (with_tensor(strides=[4]), "should have dtype"),
    "unknown dtype": (with_tensor(dtype="F31"), "dtype 'F31'; F16, F32"),
    "dtype that NumPy lacks": (with_tensor(dtype="BF16"), "dtype 'BF16'"),
    "NumPy's dtype": (with_tensor(dtype="<f4"), "dtype '<f4'"),
    "dtype is a list": (with_tensor(dtype=["F32"]), "dtype"),
    "shape is a number": (with_tensor(shape=2), "shape 2"),
    "shape of floats": (with_tensor(shape=[2.0]), "shape"),
    "shape of truth values": (with_tensor(shape=[True, 2]), "shape"),
    "negative shape": (with_tensor(shape=[-2]), "shape"),
    "two negative axes": (with_tensor(shape=[-1, -2]), "shape"),
    "33 axes": (with_tensor(shape=[2] + [1] * 32), "up to 32"),
    "shape too large for its bytes": (with_tensor(shape=[3]), "needs 12 bytes, but has 8"),
    "shape too small for its bytes": (with_tensor(shape=[1]), "needs 4 bytes, but has 8"),
    "shape that overflows to 8 bytes": (with_tensor(shape=[2**62 + 2]), "needs 18446744073709551624 bytes"),
    "shape whose product overflows": (with_tensor(shape=[2**32, 2**32, 2]), "needs 147573952589676412928 bytes"),
    "shape that overflows to nothing": (with_tensor(shape=[2**63, 2], data_offsets=[0, 0]), "needs"),
    "empty with an axis beyond all memory": (
        file_of({"a": entry(shape=(0, 2**63), offsets=(0, 0))}),
        "9223372036854775808",
    ),
    "empty with axes beyond all memory": (file_of({"a": entry(shape=(2**40, 2**40, 0), offsets=(0, 0))}), "shape"),
    "one offset": (with_tensor(data_offsets=[8]), "data_offsets"),
    "three offsets": (with_tensor(data_offsets=[0, 4, 8]), "data_offsets"),
    "offsets in wrong order": (with_tensor(data_offsets=[8, 0]), "data_offsets"),
    "negative offset": (with_tensor(data_offsets=[-8, 0]), "data_offsets"),
    "offset beyond the file": (with_tensor(data_offsets=[0, 2**60]), "there are only 8"),
    "bytes before": (file_of({"a": entry(offsets=(4, 12))}, bytes(12)), "leaves 4 bytes unused"),
    "bytes between": (file_of({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)), "leaves 4 bytes unused"),
    "bytes after": (file_of({"a": entry()}, bytes(9)), "1 bytes after"),
    "overlap": (file_of({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)), "overlaps"),
    "the same bytes twice": (file_of({"a": entry(), "b": entry()}, bytes(8)), "overlaps"),
    "empty one within another": (file_of({"a": entry(), "b": entry(shape=(0,), offsets=(4, 4))}, bytes(8)), "overlaps"),
}


def test_the_good_file_of_which_others_are_changed_is_good():
    tensors, metadata = decode(GOOD)
    assert_same(tensors, {"a": np.zeros(2, np.float32)})
    assert metadata == {"k": "v"}


@pytest.mark.parametrize("name", BROKEN)
def test_damaged_file_is_refused(name):
    file, message = BROKEN[name]
    with pytest.raises(ModelFileError, match=message):
        decode(file)


def test_no_error_makes_a_page():
    names = ["x" * 100_000, "\n" * 1000]
    for name in names:
        for header in ({name: 5}, {"a": {**entry(), "dtype": name}}, {"__metadata__": {name: 5}}):
            with pytest.raises(ModelFileError) as caught:
                decode(file_of(header))
            assert len(str(caught.value)) < 400
            assert "\n" not in str(caught.value)


def test_no_memory_is_taken_for_what_a_file_only_claims():
    claims = {
        "shape": with_tensor(shape=[2**40]),
        "offsets": with_tensor(shape=[2**40], data_offsets=[0, 2**42]),
        "header": (2**40).to_bytes(8, "little") + b"{}",
        "many": file_of({f"t{i}": entry(shape=(2**30,), offsets=(0, 2**32)) for i in range(100)}, bytes(8)),
    }
    decode(GOOD)
    tracemalloc.start()
    for file in claims.values():
        with pytest.raises(ModelFileError):
            decode(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "text",
    [
        b"{" + b",".join(b'"%d":0' % i for i in range(200_000)) + b',"0":0}',
        b'{"a":[' + b",".join([b"9" * 20] * 150_000) + b"]}",
        b'{"a":' + b"[" * (MAX_HEADER // 2 - 10) + b"]" * (MAX_HEADER // 2 - 10) + b"}",
        b'{"a":"' + b"\\u00e9" * 600_000 + b'"}',
    ],
    ids=["many keys", "many numbers", "deep", "long text"],
)
def test_the_largest_headers_are_judged_quickly(text):
    assert len(text) <= MAX_HEADER
    start = time.process_time()
    with pytest.raises(ModelFileError):
        decode(file_of(text))
    assert time.process_time() - start < 10  # 0.2 s; anything quadratic would take minutes


def test_json_is_read_as_elsewhere_where_it_is_harmless():
    text = '{"a": [1, -2.5e3, true, null, "é\\u00e9\\ud83d\\ude42"], "b": {"": 18446744073709551615}}'
    assert parse_json(text, "it") == json.loads(text)
