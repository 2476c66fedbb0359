"""Files that appear whole or not at all."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Write a file that is there under `path` whole or not at all, even when the power fails.

    Yields a new binary file in the same folder. On success it takes the place of `path`; otherwise it is deleted, and
    what was there before is untouched. As with `open(path, "wb")`, a new file gets the permissions that the umask
    leaves, an old one keeps its own and must be writable, and a symbolic link stays one: the file that it points to is
    replaced. Raises OSError where `open` would, and for what is no regular file.
    """
    old = _status(path)
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    # Of the name no more than leaves room for the rest, since names have at most 255 bytes.
    temporary = os.path.join(folder, f".{name[:50]}.{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        with _create(temporary, path) as file:
            if old is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)  # makes the new name last, too
    finally:
        os.close(directory)


_PIECE, _TOGETHER = 1 << 22, 1 << 23  # bytes


def write_in_pieces(file: IO[bytes], parts: Iterable[bytes]) -> None:
    """Writes what may be large so that Ctrl-C finds a moment: one write, or one wait for the disk, can take seconds."""
    waiting = 0
    for part in parts:
        for begin in range(0, len(part), _PIECE):
            waiting += file.write(memoryview(part)[begin : begin + _PIECE])
            if waiting >= _TOGETHER:
                file.flush()
                os.fsync(file.fileno())
                waiting = 0


def _status(path: str | os.PathLike[str]) -> os.stat_result | None:
    """What there is to be replaced, None for nothing. Raises OSError if it may not be written."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        if not os.path.basename(path):  # "" or "folder/" names no file
            raise
        return None
    if not stat.S_ISREG(status.st_mode):
        code = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
        raise OSError(code, "cannot be replaced, because it is no regular file", os.fspath(path))
    with open(path, "r+b"):
        return status


def _create(temporary: str, path: str | os.PathLike[str]) -> IO[bytes]:
    """A new file. Errors name the path that was asked for."""
    try:
        return open(temporary, "xb")
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
