"""Downloading the data sets, from mirrors that misbehave in every way. No test reaches the internet."""

import hashlib
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers_datasets import PUBLISHED, STEMS, check_loaded, isolate

from mnist_c import _download
from mnist_c.datasets import DatasetNotFoundError, load

PACKAGE = Path(_download.__file__).parent


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    return isolate(tmp_path, monkeypatch)


class Mirror(BaseHTTPRequestHandler):
    """The first folder of the path says how the server behaves."""

    def do_GET(self):
        _, behaviour, name = self.path.split("/")
        self.server.seen.append((behaviour, name))
        small = len(PUBLISHED[name]) == min(map(len, PUBLISHED.values()))
        if behaviour.startswith("then-"):  # well-behaved until it comes to the larger files
            behaviour = "good" if small else behaviour.removeprefix("then-")
        getattr(self, f"answer_{behaviour}")(PUBLISHED[name])

    def send(self, content, length=None, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def answer_good(self, content):
        self.send(content)

    def answer_forbidden(self, content):
        self.send(b"<html>go away</html>", status=403)

    def answer_busy(self, content):
        self.send(b"busy", status=503)

    def answer_cut(self, content):
        self.send(content[: len(content) // 2], len(content))

    def answer_page(self, content):
        self.send(b"<!DOCTYPE html>\n<html>Please log in to this network</html>")

    def answer_wrong(self, content):
        self.send(content[:-1] + bytes([content[-1] ^ 1]))

    def answer_long(self, content):
        self.send(content + b"more")

    def answer_hang(self, content):
        self.server.stop.wait(30)

    def answer_stall(self, content):
        self.send(content[: len(content) // 2], len(content))
        self.server.stop.wait(30)

    def answer_elsewhere(self, content):
        self.send_response(302)
        self.send_header("Location", self.path.replace("elsewhere", "good"))
        self.end_headers()

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # all mirrors are asked at once


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Mirror) as server:
        server.seen = []
        server.stop = threading.Event()
        server.url = f"http://127.0.0.1:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stop.set()
        server.shutdown()
        thread.join()


def use_mirrors(monkeypatch, server, *behaviours):
    monkeypatch.setattr(_download, "MIRRORS", {"mnist": tuple(f"{server.url}{b}/" for b in behaviours)})


BAD = {
    "forbidden": "HTTP 403 Forbidden",
    "busy": "HTTP 503 Service Unavailable",
    "cut": "the connection ended after",
    "page": "a web page instead of the data",
    "wrong": "SHA-256",
    "long": "more than the",
    "hang": "no answer within 0.4 s",
    "stall": "no answer within 0.4 s",
}


@pytest.mark.parametrize("when", ["", "then-"], ids=["at once", "halfway"])
@pytest.mark.parametrize("behaviour", BAD)
def test_bad_mirror_is_explained_and_leaves_no_file(monkeypatch, server, cache, behaviour, when):
    use_mirrors(monkeypatch, server, when + behaviour)
    with pytest.raises(DatasetNotFoundError) as caught:
        load("mnist")
    assert f"{server.url}{when}{behaviour}/: " in str(caught.value)
    assert BAD[behaviour] in str(caught.value)
    for path in cache.rglob("*"):
        assert path.is_dir() or path.read_bytes() == PUBLISHED.get(path.name), path


@pytest.mark.parametrize("when", ["", "then-"], ids=["at once", "halfway"])
def test_last_mirror_is_reached_past_all_bad_ones(monkeypatch, server, cache, when):
    use_mirrors(monkeypatch, server, *(when + b for b in BAD), "elsewhere")
    monkeypatch.setattr(_download, "TIMEOUT", 1.0)
    train, test = load("mnist")
    check_loaded((train, test))
    assert train.source == f"downloaded from {server.url}elsewhere/ into {cache / 'mnist'}"
    assert {p.name: p.read_bytes() for p in (cache / "mnist").iterdir()} == PUBLISHED


def test_second_load_reads_the_cache_and_asks_nobody(monkeypatch, server, cache):
    use_mirrors(monkeypatch, server, "good")
    load("mnist")
    server.seen.clear()
    train, _ = load("mnist")
    assert train.source == f"from {cache / 'mnist'}"
    assert server.seen == []


def test_damaged_and_missing_files_of_the_cache_are_downloaded_again_and_no_others(monkeypatch, server, cache):
    use_mirrors(monkeypatch, server, "good")
    load("mnist")
    names = list(PUBLISHED)
    (cache / "mnist" / names[0]).write_bytes(PUBLISHED[names[0]][:-20])
    (cache / "mnist" / names[2]).unlink()
    server.seen.clear()
    check_loaded(load("mnist"))
    probed = min(PUBLISHED, key=lambda n: len(PUBLISHED[n]))
    assert sorted(name for _, name in server.seen) == sorted([probed, names[0], names[2]])


def test_error_lists_every_place_and_mirror_with_the_reason(tmp_path, monkeypatch, server, cache):
    use_mirrors(monkeypatch, server, "forbidden", "hang")
    monkeypatch.setenv("MNIST_C_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DatasetNotFoundError) as caught:
        load("mnist")
    lines = str(caught.value).splitlines()
    assert f"  - $MNIST_C_DATA = {tmp_path / 'nowhere'}: no such folder" in lines
    assert f"  - {cache}: no such folder" in lines
    assert f"  - {server.url}forbidden/: HTTP 403 Forbidden" in lines
    assert f"  - {server.url}hang/: no answer within 0.4 s" in lines
    assert isinstance(caught.value, FileNotFoundError)


def test_hanging_name_look_up_costs_one_timeout_for_all_mirrors_together(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kw: released.wait(20) and [])
    monkeypatch.setattr(_download, "MIRRORS", {"mnist": tuple(f"http://mirror{i}.invalid/" for i in range(5))})
    start = time.monotonic()
    with pytest.raises(DatasetNotFoundError, match=r"mirror4\.invalid/: no answer within 0\.4 s"):
        load("mnist")
    assert time.monotonic() - start < 1.5
    released.set()


def test_offline_switch_asks_no_mirror(monkeypatch, server):
    use_mirrors(monkeypatch, server, "good")
    monkeypatch.setenv("MNIST_C_OFFLINE", "1")
    with pytest.raises(DatasetNotFoundError, match="MNIST_C_OFFLINE is set"):
        load("mnist")
    assert server.seen == []


def test_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch, server):
    use_mirrors(monkeypatch, server, "good")
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DatasetNotFoundError, match="cannot write to"):
        load("mnist")


KILLED = """
import sys
from pathlib import Path
from mnist_c import _download
name, size, sha256, url, folder = sys.argv[1:]
_download.FILES["mnist"] = (_download.RemoteFile(name, int(size), sha256),)
_download.MIRRORS["mnist"] = (url,)
_download._answers = lambda mirrors, file: [(mirrors[0], None)]
_download.TIMEOUT = 30
_download.fetch("mnist", Path(folder))
"""


def test_kill_during_a_download_leaves_no_file_under_the_final_name(tmp_path, server):
    name, content = next(iter(PUBLISHED.items()))
    arguments = [
        name,
        str(len(content)),
        hashlib.sha256(content).hexdigest(),
        f"{server.url}stall/",
        str(tmp_path / "c"),
    ]
    with subprocess.Popen([sys.executable, "-c", KILLED, *arguments]) as process:
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob("c/.*.part")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
    (left,) = (tmp_path / "c").iterdir()
    assert left.name.startswith(f".{name}.")
    assert left.name.endswith(".part")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "end"), [(Terminal, ""), (io.StringIO, "\n")], ids=["terminal", "file"])
def test_progress_shows_bytes_and_percent_at_most_five_times_a_second(monkeypatch, stream, end):
    now = 0.0
    monkeypatch.setattr(_download.time, "monotonic", lambda: now)
    out = stream()
    report = _download._Progress("digits.gz", 4_000_000, out)
    for _ in range(400):
        now += 0.01  # four seconds in all
        report.advance(10_000)
    report.close()
    text = out.getvalue()
    assert "digits.gz: 4.0 of 4.0 MB, 100%" in text
    assert 2 <= text.count("digits.gz") <= 22
    assert ("\r" in text) == (end == "")
    assert text.endswith("\n")


def test_progress_of_a_real_download_can_be_switched_off(monkeypatch, server, capsys):
    use_mirrors(monkeypatch, server, "good")
    load("mnist", progress=False)
    assert capsys.readouterr() == ("", "")


# ---------------------------------------------------------------- security and cost


def test_package_never_switches_certificate_checks_off():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for forbidden in ("_create_unverified_context", "verify=False", "CERT_NONE", "check_hostname"):
            assert forbidden not in text, (path, forbidden)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
def test_untrusted_certificate_ends_in_advice_to_copy_the_files(tmp_path, monkeypatch, server, cache):
    import ssl

    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *args: None
    monkeypatch.setattr(_download, "TIMEOUT", 5.0)
    url = server.url.replace("http:", "https:") + "good/"
    monkeypatch.setattr(_download, "MIRRORS", {"mnist": (url,)})
    with pytest.raises(DatasetNotFoundError) as caught:
        load("mnist")
    text = str(caught.value)
    assert "certificate could not be checked" in text
    assert str(cache) in text
    assert "MNIST_C_DATA" in text
    assert "plain file copy" in text


def test_published_mirrors_are_https_and_hashes_pinned():
    # From a fresh process: the fixture has replaced the tables here.
    code = "import json; from mnist_c import _download as d; print(json.dumps([d.MIRRORS, d.FILES]))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    mirrors, files = json.loads(printed)
    for name in ("mnist", "fashion-mnist"):
        assert len(mirrors[name]) >= 2
        assert len({url.split("/")[2] for url in mirrors[name]}) >= 2
        assert all(url.startswith("https://") and url.endswith("/") for url in mirrors[name])
        assert [file for file, _, _ in files[name]] == [f"{stem}.gz" for stem in STEMS]
        assert all(re.fullmatch(r"[0-9a-f]{64}", sha256) for _, _, sha256 in files[name])
