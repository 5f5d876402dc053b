"""Data sets that are fetched: checksums, resumed and broken connections, and machines without a network."""

import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from data_files import idx_bytes
from isthmus.data import DataError, MissingFileError, fetching, read

IMAGES = np.random.default_rng(0).integers(0, 256, (300, 4, 4), np.uint8) // 64 * 64
LABELS = np.arange(300, dtype=np.uint8) % 10
CONTENT = {"images.gz": idx_bytes(IMAGES), "labels.gz": idx_bytes(LABELS)}
FILES = {name: gzip.compress(content, mtime=0) for name, content in CONTENT.items()}


class Server(ThreadingHTTPServer):
    """Serve FILES; ``cut`` connections break after so many bytes, ``plain`` ones do not know ranges."""

    cut, plain, served = 0, False, ()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rpartition("/")[2]
        if name not in FILES or "none" in self.path:
            self.send_error(404)
            return
        start = 0 if self.server.plain else int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.server.served += ((name, start),)
        rest = FILES[name][start:]
        if not rest:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.server.cut:
            rest, self.server.cut = rest[:100], self.server.cut - 1
        self.wfile.write(rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_port}/sets"


@pytest.fixture(autouse=True)
def known(tmp_path, monkeypatch):
    files = tuple(fetching.RemoteFile(n, len(c), hashlib.sha256(c).hexdigest()) for n, c in CONTENT.items())
    made = fetching.RemoteSet("http://127.0.0.1:9", (), files, {"fashion-mnist": ("images.gz", "labels.gz")})
    monkeypatch.setattr(fetching, "_SETS", {"fashion-mnist": made})
    monkeypatch.setattr(fetching, "_PAUSE", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return made


def test_what_was_fetched_is_found_by_its_name(server, url):
    with pytest.raises(MissingFileError, match="is not on this machine; run `isthmus data fetch fashion-mnist`"):
        read("fashion-mnist")
    folder = fetching.fetch("fashion-mnist", url=url)
    data = read("fashion-mnist")
    np.testing.assert_array_equal(data.X.reshape(IMAGES.shape), IMAGES)
    np.testing.assert_array_equal(data.y, LABELS)
    assert data.image_shape == (4, 4)
    assert sorted(path.name for path in folder.iterdir()) == ["images.gz", "labels.gz"]
    fetching.fetch("fashion-mnist", url=url)
    assert len(server.served) == 2  # nothing was fetched twice


def test_a_broken_connection_is_resumed(server, url):
    server.cut = 2
    fetching.fetch("fashion-mnist", url=url)
    assert server.served[:3] == (("images.gz", 0), ("images.gz", 100), ("images.gz", 200))
    assert read("fashion-mnist").X.shape == (300, 16)


def test_a_later_call_resumes(server, url):
    server.cut = 4
    with pytest.raises(DataError, match="could not be fetched .* What has arrived is kept: run the same command again"):
        fetching.fetch("fashion-mnist", url=url)
    fetching.fetch("fashion-mnist", url=url)
    assert server.served[4] == ("images.gz", 400)


def test_a_server_without_ranges_sends_the_whole_file_again(server, url):
    server.cut, server.plain = 1, True
    fetching.fetch("fashion-mnist", url=url)
    assert read("fashion-mnist").X.shape == (300, 16)


@pytest.mark.parametrize("part", [b"something else", FILES["images.gz"][:-1] + b"?", FILES["images.gz"] * 2])
def test_a_wrong_file_is_not_kept(url, part):
    folder = fetching.folder_of("fashion-mnist")
    folder.mkdir(parents=True)
    (folder / "images.gz.part").write_bytes(part)
    with pytest.raises(DataError, match="is not the file that it should be|is larger than it should be"):
        fetching.fetch("fashion-mnist", url=url)
    (folder / "images.gz.part").unlink(missing_ok=True)
    fetching.fetch("fashion-mnist", url=url)
    assert read("fashion-mnist").X.shape == (300, 16)


def test_offline(run_fetch):
    code, out, err = run_fetch()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "could not be fetched (Connection refused). Is this machine offline?" in err


@pytest.fixture
def run_fetch(capsys):
    from isthmus.cli import main

    def run(*args):
        code = main(["data", "fetch", "fashion-mnist", *args])
        return code, *capsys.readouterr()

    return run


def test_the_command(url, run_fetch, tmp_path):
    code, out, _ = run_fetch("--url", url)
    assert (code, out) == (0, f"fashion-mnist: is in {tmp_path / 'isthmus' / 'fashion-mnist'}\n")
    code, _, err = run_fetch("--url", f"{url}/none/", "--to", str(tmp_path / "other"))
    assert (code, "the server says 404 Not Found" in err) == (2, True)
    code, _, err = run_fetch("--url", "ftp://example", "--to", str(tmp_path / "third"))
    assert (code, "must begin with http" in err) == (2, True)
