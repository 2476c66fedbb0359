"""Files that are replaced: whole or not at all, with the permissions that `open` would leave."""

import io
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from mnist_c import _files
from mnist_c._files import replacing, write_in_pieces

OLD, NEW = b"old" * 1000, b"new" * 2000
IS_ROOT = os.geteuid() == 0


def replace(path, content=NEW):
    with replacing(path) as file:
        file.write(content)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    return path


def test_new_and_old_files_get_the_content(tmp_path, old):
    replace(old)
    replace(tmp_path / "other")
    replace(str(tmp_path / "third"))
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [NEW] * 3


def test_relative_paths_and_long_names_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "n" * 255, "ß" * 127):
        replace(name)
        assert (tmp_path / name).read_bytes() == NEW
    assert len(list(tmp_path.iterdir())) == 3


def test_old_content_is_there_until_the_new_one_is_complete(old):
    with replacing(old) as file:
        file.write(NEW)
        assert old.read_bytes() == OLD
    assert old.read_bytes() == NEW


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, MemoryError])
def test_failure_while_writing_leaves_the_old_file_and_nothing_else(old, error):
    def write_half():
        with replacing(old) as file:
            file.write(NEW[:100])
            raise error

    with pytest.raises(error):
        write_half()
    assert old.read_bytes() == OLD
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("call", ["fchmod", "fsync", "replace"])
def test_failure_of_the_system_leaves_the_old_file_and_nothing_else(old, monkeypatch, call):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files.os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        replace(old)
    assert old.read_bytes() == OLD
    assert list(old.parent.iterdir()) == [old]


def test_content_is_on_the_disk_before_it_gets_the_name_and_the_name_follows(old, monkeypatch):
    calls = []

    def note(name):
        real = getattr(os, name)

        def noting(*arguments):
            is_folder = name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode)
            calls.append(f"{name} folder" if is_folder else name)
            return real(*arguments)

        return noting

    for name in ("fsync", "replace"):
        monkeypatch.setattr(_files.os, name, note(name))
    replace(old)
    assert calls == ["fsync", "replace", "fsync folder"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_new_file_has_the_permissions_of_open(tmp_path, umask):
    before = os.umask(umask)
    try:
        replace(tmp_path / "ours")
        with open(tmp_path / "opened", "wb"):
            pass
    finally:
        os.umask(before)
    assert mode(tmp_path / "ours") == mode(tmp_path / "opened") == 0o666 & ~umask


@pytest.mark.parametrize("permissions", [0o600, 0o664, 0o755])
def test_old_file_keeps_its_permissions(old, permissions):
    old.chmod(permissions)
    replace(old)
    assert mode(old) == permissions


@pytest.mark.skipif(IS_ROOT, reason="root may write everything")
def test_file_that_may_not_be_written_is_not_replaced(old):
    old.chmod(0o444)
    with pytest.raises(PermissionError, match="file"):
        replace(old)
    assert old.read_bytes() == OLD


def test_symbolic_link_stays_one_and_its_target_is_replaced(tmp_path, old):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link"
    link.symlink_to("../file")
    replace(link)
    assert link.is_symlink()
    assert old.read_bytes() == NEW
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["elsewhere", "link", "file"]


def test_symbolic_link_to_nothing_makes_its_target(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("target")
    replace(link)
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == NEW


def test_what_open_refuses_is_refused_with_the_name_that_was_given(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for path, error in (
        (tmp_path, IsADirectoryError),
        (tmp_path / "missing" / "file", FileNotFoundError),
        (tmp_path / "loop", OSError),
        ("", FileNotFoundError),
    ):
        with pytest.raises(error) as caught:
            replace(path)
        assert caught.value.filename == str(path)
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]


def test_devices_and_pipes_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/null", tmp_path / "pipe"):
        with pytest.raises(OSError, match="no regular file"):
            replace(path)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


ENDLESS = """
import sys
from mnist_c._files import replacing
while True:
    for letter in b"ab":
        with replacing(sys.argv[1]) as file:
            for _ in range(50):
                file.write(bytes([letter]) * 1000)
"""


def test_killed_process_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file"
    for delay in (0.01, 0.02, 0.03):
        with subprocess.Popen([sys.executable, "-c", ENDLESS, path]) as process:
            deadline = time.monotonic() + 30
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert len(content) == 50_000
        assert content in (b"a" * 50_000, b"b" * 50_000)
        path.unlink()


def test_large_content_is_written_and_synced_in_pieces(tmp_path, monkeypatch):
    written, synced = [], []

    class File(io.FileIO):
        def write(self, content):
            written.append(len(content))
            return super().write(content)

    monkeypatch.setattr(_files, "_PIECE", 100)
    monkeypatch.setattr(_files, "_TOGETHER", 300)
    monkeypatch.setattr(os, "fsync", synced.append)
    parts = [b"", b"a" * 250, bytes(range(256)) * 3, b"z"]
    with File(tmp_path / "file", "wb") as file:
        write_in_pieces(file, parts)
    assert (tmp_path / "file").read_bytes() == b"".join(parts)
    assert max(written) == 100
    assert len(synced) == 3  # 250 + 768 + 1 bytes
