import contextlib
import hashlib
import http.server
import os
import threading
import time

import pytest

from common.errors import WeightsError
from detection import weights
from detection.weights import Release

CONTENT = b"not really weights" * 1000


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A local server with one release, and an empty weights folder."""
    served = tmp_path / "served"
    (served / "v1").mkdir(parents=True)
    (served / "v1" / "toy.pt").write_bytes(CONTENT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(served))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("IRVIS_DOWNLOADS", f"http://127.0.0.1:{running.server_port}")
        monkeypatch.setenv("IRVIS_WEIGHTS", str(tmp_path / "cache"))
        good = Release("v1/toy.pt", hashlib.sha256(CONTENT).hexdigest())
        monkeypatch.setattr(
            weights,
            "KNOWN",
            {
                "toy.pt": good,
                "forged.pt": Release("v1/toy.pt", "0" * 64),
                "gone.pt": Release("v1/gone.pt", "0" * 64),
            },
        )
        yield served
        running.shutdown()


def test_download_checks_and_keeps_the_file(server, tmp_path):
    path = weights.download("toy")
    assert path == tmp_path / "cache" / "toy.pt"
    assert path.read_bytes() == CONTENT
    (server / "v1" / "toy.pt").unlink()
    assert weights.download("toy.pt") == path  # the second time needs no server
    assert weights.resolve("toy") == path


def test_resolve_downloads_a_known_release(server, tmp_path):
    assert weights.find("toy.pt") is None
    assert weights.resolve("toy.pt") == tmp_path / "cache" / "toy.pt"


def test_a_damaged_file_is_fetched_again(server, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "toy.pt").write_bytes(b"half")
    assert weights.download("toy").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "message"), [("forged", "expected 0000"), ("gone", "cannot download"), ("x", "not a")]
)
def test_nothing_is_left_of_a_failed_download(server, tmp_path, name, message):
    with pytest.raises(WeightsError, match=message):
        weights.download(name)
    assert list((tmp_path / "cache").glob("*")) == []


def test_offline_says_what_to_do(server, monkeypatch):
    monkeypatch.setenv("IRVIS_DOWNLOADS", "http://127.0.0.1:1")
    with pytest.raises(WeightsError, match=r"cannot download toy\.pt .* put the file at"):
        weights.resolve("toy")


def test_only_http_is_asked(server, monkeypatch):
    monkeypatch.setenv("IRVIS_DOWNLOADS", "file:///etc")
    with pytest.raises(WeightsError, match="http"):
        weights.download("toy")


def test_unknown_name_lists_the_choices(server):
    with pytest.raises(WeightsError, match=r"no weights 'other'.*toy\.pt"):
        weights.resolve("other")
    with pytest.raises(WeightsError, match="no weights"):
        weights.resolve("../toy.pt")


def test_a_path_is_taken_as_it_is(tmp_path):
    path = tmp_path / "mine.pt"
    path.write_bytes(b"x")
    assert weights.resolve(str(path)) == path


class Endless(http.server.BaseHTTPRequestHandler):
    """Sends pieces of a body for ever."""

    piece, pause_s = b"x" * 65536, 0.0

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(self.piece)
                time.sleep(self.pause_s)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("piece", "pause_s", "bound", "least"),
    [(b"x" * 65536, 0.0, "MOST_BYTES", 3 << 20), (b"x", 0.05, "MOST_S", 0.5)],
)
def test_a_server_that_never_ends(tmp_path, monkeypatch, piece, pause_s, bound, least):
    handler = type("Handler", (Endless,), {"piece": piece, "pause_s": pause_s})
    monkeypatch.setenv("IRVIS_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(weights, bound, least)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("IRVIS_DOWNLOADS", f"http://127.0.0.1:{running.server_port}")
        with pytest.raises(WeightsError, match="nothing was kept"):
            weights.download("yolov5n")
        running.shutdown()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_download_left_goes(server, tmp_path):
    (tmp_path / "cache").mkdir()
    old, new = tmp_path / "cache" / "tmpold.part", tmp_path / "cache" / "tmpnew.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    weights.download("toy")
    assert new.exists()
    assert not old.exists()
