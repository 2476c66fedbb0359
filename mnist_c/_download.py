"""Downloads of the public data sets: several mirrors, pinned SHA-256, whole files or none.

Every mirror is asked for the smallest file at the same time, and the first that sends it intact is used.  So where no
mirror answers (no network, a firewall that swallows packets, a name server that hangs) that is known after one
``TIMEOUT``, not after one per mirror.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from ._files import replacing

TIMEOUT = 5.0  # seconds: to the first answer, and for every read after it


class RemoteFile(NamedTuple):
    """One published file, as every mirror must serve it."""

    name: str
    size: int
    sha256: str


FILES: dict[str, tuple[RemoteFile, ...]] = {
    "mnist": (
        RemoteFile(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion-mnist": (
        RemoteFile(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}

MIRRORS: dict[str, tuple[str, ...]] = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ),
    "fashion-mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
}

_CHUNK = 1 << 16


class DownloadError(OSError):
    """No mirror had the data; ``reasons`` has one line per mirror."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


class _MirrorError(Exception):
    """A mirror does not answer, or what it sends is not the published file; the text says which."""


def fetch(name: str, folder: Path, *, progress: bool = True) -> str:
    """Bring the files of a data set into ``folder``; those already there and intact are kept.

    Args:
        name: a key of ``FILES``.
        folder: made where it does not exist.
        progress: report on stderr.

    Returns:
        The mirror that was used.

    Raises:
        DownloadError: every mirror failed.
        OSError: the folder or a file cannot be written.
    """
    files, mirrors = FILES[name], MIRRORS[name]
    missing = [f for f in files if not _is_intact(folder / f.name, f)]
    reasons: dict[str, str] = {}
    for mirror, problem in _answers(mirrors, min(files, key=lambda f: f.size)):
        if problem:
            reasons[mirror] = problem
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            while missing:
                _download(mirror, missing[0], folder, progress)
                del missing[0]
        except _MirrorError as error:
            reasons[mirror] = str(error)
        else:
            return mirror
    silent = f"no answer within {TIMEOUT:g} s"
    raise DownloadError([f"{mirror}: {reasons.get(mirror, silent)}" for mirror in mirrors])


def _is_intact(path: Path, file: RemoteFile) -> bool:
    import hashlib

    try:
        if path.stat().st_size != file.size:
            return False
        return hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    except OSError:
        return False


def _answers(mirrors: Sequence[str], file: RemoteFile) -> Iterator[tuple[str, str | None]]:
    """Ask all mirrors for ``file`` at once; yield (mirror, None or what is wrong) as they answer, for ``TIMEOUT`` s.

    A look-up of a host name cannot be interrupted, hence a thread for each, which nobody waits for.
    """
    import queue
    import threading

    answers: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
    deadline = time.monotonic() + TIMEOUT

    def ask(mirror: str) -> None:
        try:
            for _ in _verified(mirror, file):
                pass
            answers.put((mirror, None))
        except _MirrorError as error:
            answers.put((mirror, str(error)))

    for mirror in mirrors:
        threading.Thread(target=ask, args=(mirror,), daemon=True).start()
    for _ in mirrors:
        try:
            # What arrived during the download from another mirror is in the queue even after the deadline.
            answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return
        yield answer


def _verified(mirror: str, file: RemoteFile) -> Iterator[bytes]:
    """Yield the content of ``mirror + file.name``; raise _MirrorError unless all of it was the published content."""
    import hashlib

    digest, done, first = hashlib.sha256(), 0, b""
    for chunk in _received(mirror + file.name):
        first = first or chunk
        done += len(chunk)
        if done > file.size:
            break
        digest.update(chunk)
        yield chunk
    if first.lstrip().startswith(b"<"):
        raise _MirrorError("sent a web page instead of the data")
    if done > file.size:
        raise _MirrorError(f"sent more than the {file.size} bytes of {file.name}")
    if done < file.size:
        raise _MirrorError(f"the connection ended after {done} of the {file.size} bytes of {file.name}")
    if digest.hexdigest() != file.sha256:
        raise _MirrorError(f"the SHA-256 of its {file.name} is {digest.hexdigest()}, not {file.sha256}")


def _received(url: str) -> Iterator[bytes]:
    """Yield what the server sends; whatever goes wrong on the way is a _MirrorError."""
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": "mnist_c"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            while chunk := response.read(_CHUNK):
                yield chunk
    except Exception as error:  # urllib, http.client, ssl and socket have no common base class but this
        raise _MirrorError(_explain(error)) from error


def _download(mirror: str, file: RemoteFile, folder: Path, progress: bool) -> None:
    report = _Progress(f"{mirror}{file.name}", file.size, sys.stderr if progress else None)
    with replacing(folder / file.name) as out:
        try:
            for chunk in _verified(mirror, file):
                out.write(chunk)
                report.advance(len(chunk))
        finally:
            report.close()


def _explain(error: BaseException) -> str:
    """Say in half a sentence why a download failed."""
    import ssl
    import urllib.error

    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate could not be checked ({error.verify_message}); copy the files instead (see below)"
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT:g} s"
    return str(error) or type(error).__name__


class _Progress:
    """Bytes and percent of one download: one line that is rewritten on a terminal, else a line now and then."""

    def __init__(self, title: str, size: int, stream: IO[str] | None) -> None:
        self._stream, self._title, self._size, self._done = stream, title, size, 0
        self._terminal = stream is not None and stream.isatty()
        self._pause = 0.2 if self._terminal else 2.0
        self._next = time.monotonic() if size > 1 << 20 else float("inf")  # nobody waits for the small files

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._pause
            self._print()

    def close(self) -> None:
        if self._next < float("inf"):
            self._print()
            if self._stream is not None and self._terminal:
                print(file=self._stream, flush=True)

    def _print(self) -> None:
        if self._stream is None:
            return
        text = f"{self._title}: {self._done / 1e6:.1f} of {self._size / 1e6:.1f} MB, {self._done / self._size:.0%}"
        print(
            f"\r{text}" if self._terminal else text, end="" if self._terminal else "\n", file=self._stream, flush=True
        )
