"""Reading IDX and .npz files: what is right is read, whatever else is a DataFormatError that names file and reason."""

import gzip
import io
import random
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from mnist_c import _idx
from mnist_c._idx import DataFormatError, read_idx, read_npz

IMAGES = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)


def idx_bytes(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def write(tmp_path, content, name="some-idx3-ubyte"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def rewrite(path, content):
    """Change a file in place: ext4 brings a file to the disk that was emptied and written anew, which takes long."""
    with open(path, "r+b" if path.exists() else "xb") as file:
        file.write(content)
        file.truncate()


def npz_bytes(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("shape", [(0,), (7,), (3, 28, 28), (2, 3, 4, 5)])
def test_arrays_come_back_as_they_were(tmp_path, pack, shape):
    array = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    read = read_idx(write(tmp_path, pack(idx_bytes(array))))
    np.testing.assert_array_equal(read, array, strict=True)
    assert read.flags.c_contiguous
    assert read.flags.writeable


def test_content_tells_gzip_from_plain_whatever_the_name(tmp_path):
    np.testing.assert_array_equal(read_idx(write(tmp_path, idx_bytes(IMAGES), "images.gz")), IMAGES)
    np.testing.assert_array_equal(read_idx(write(tmp_path, gzip.compress(idx_bytes(IMAGES)), "images")), IMAGES)


def test_path_may_be_a_string(tmp_path):
    assert read_idx(str(write(tmp_path, idx_bytes(IMAGES)))).shape == (3, 28, 28)


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none")


GOOD = idx_bytes(IMAGES)
PACKED = gzip.compress(GOOD)
BROKEN = {
    "empty": (b"", "empty"),
    "cut within the magic number": (GOOD[:3], "too short"),
    "cut within the header": (GOOD[:10], "too short"),
    "no data": (GOOD[:16], "16 bytes where its header announces 2368"),
    "one byte short": (GOOD[:-1], "2367 bytes where its header announces 2368"),
    "one byte long": (GOOD + b"\0", "longer than the 2368 bytes"),
    "text": (b"hello, world, this is no data", "not with two zero bytes"),
    "web page": (b"\n<!DOCTYPE html><html>503</html>", "web page"),
    "packed web page": (gzip.compress(b"<html>no</html>"), "web page"),
    "float32": (bytes([0, 0, 0x0D, 1]) + bytes(8), "float32"),
    "unknown type": (bytes([0, 0, 0x77, 1]) + bytes(8), "0x77"),
    "no dimension": (bytes([0, 0, 8, 0]) + bytes(8), "0 dimensions"),
    "too many dimensions": (bytes([0, 0, 8, 5]) + bytes(40), "5 dimensions"),
    "huge": (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "more than the 1073741824 bytes"),
    "gzip cut": (PACKED[: len(PACKED) // 2], "end too early"),
    "gzip cut within its checksum": (PACKED[:-3], "end too early"),
    "gzip header alone": (PACKED[:10], "end too early"),
    "gzip with a wrong checksum": (PACKED[:-8] + b"abcd" + PACKED[-4:], "incorrect data check"),
    "gzip with a wrong length": (PACKED[:-4] + b"abcd", "incorrect length check"),
    "gzip with more behind it": (PACKED + b"more", "after the end of the gzip data"),
    "two gzip members": (PACKED + PACKED, "after the end of the gzip data"),
    "gzip of too much": (gzip.compress(GOOD + b"\0"), "longer than"),
    "gzip of too little": (gzip.compress(GOOD[:-1]), "announces 2368"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_refused_with_file_and_reason(tmp_path, case):
    content, reason = BROKEN[case]
    path = write(tmp_path, content)
    with pytest.raises(DataFormatError, match=reason) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_small_files_never_take_much_memory(tmp_path):
    bomb = gzip.compress(GOOD[:16] + bytes(100_000_000))  # 100 MB in 100 kB
    promise = gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 1_300_000, 28, 28))  # states 1 GB, has none
    paths = [write(tmp_path, c, f"file{i}") for i, c in enumerate([bomb, promise, gzip_free(promise)])]
    tracemalloc.start()
    try:
        for path in paths:
            with pytest.raises(DataFormatError):
                read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def gzip_free(packed):
    return zlib.decompress(packed, wbits=31)


def test_thousands_of_damaged_files_raise_nothing_but_data_format_errors(tmp_path):
    rng = random.Random(7)
    path = tmp_path / "fuzzed"
    refused = 0
    tracemalloc.start()
    try:
        for i in range(3000):
            content = bytearray((GOOD, PACKED, idx_bytes(IMAGES[0, 0]))[i % 3])
            for _ in range(rng.randint(1, 4)):
                content[rng.randrange(min(len(content), 24 if i % 2 else 4096))] = rng.choice((0, 1, 127, 255, 8, 60))
            if rng.random() < 0.3:
                del content[rng.randrange(len(content)) :]
            rewrite(path, content)
            try:
                read_idx(path)
            except DataFormatError:
                refused += 1
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert 1500 < refused < 3000


def test_npz_arrays_come_in_the_order_asked_for(tmp_path):
    path = write(tmp_path, npz_bytes(a=IMAGES, b=np.arange(3)))
    b, a = read_npz(path, ("b", "a"))
    np.testing.assert_array_equal(a, IMAGES, strict=True)
    np.testing.assert_array_equal(b, np.arange(3), strict=True)


def test_npz_without_the_array_says_which(tmp_path):
    path = write(tmp_path, npz_bytes(a=IMAGES))
    with pytest.raises(DataFormatError, match=r"b\.npy.*expected the arrays a, b"):
        read_npz(path, ("a", "b"))


def test_npz_with_pickled_objects_is_refused(tmp_path):
    path = write(tmp_path, npz_bytes(a=np.array([{}, []], dtype=object)))
    with pytest.raises(DataFormatError):
        read_npz(path, ("a",))


def test_npz_that_states_more_than_it_has_takes_no_memory(tmp_path):
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (900_000_000,)})
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", member.getvalue() + bytes(100))
    tracemalloc.start()
    try:
        with pytest.raises(DataFormatError, match="where its header announces"):
            read_npz(path, ("a",))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_damaged_npz_files_raise_nothing_but_data_format_errors(tmp_path):
    rng = random.Random(3)
    whole = npz_bytes(a=IMAGES[:1])
    path = tmp_path / "fuzzed.npz"
    for _ in range(500):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        if rng.random() < 0.2:
            del content[rng.randrange(len(content)) :]
        rewrite(path, content)
        try:
            (array,) = read_npz(path, ("a",))
        except DataFormatError:
            continue
        assert array.size <= IMAGES.size


def test_limit_is_a_gigabyte():
    assert _idx.MAX_BYTES == 2**30
