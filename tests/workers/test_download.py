"""Downloads from a server on this machine."""

import hashlib
import http.server
import io
import sys
import threading

import pytest

from workers.download import download

CONTENT = bytes(range(256)) * 9000  # over two chunks
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT at /file, half of it at /half, nothing elsewhere; counts requests."""

    def do_GET(self):
        self.server.requests += 1
        if self.path not in ("/file", "/half"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // (2 if self.path == "/half" else 1)])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests = 0
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("checksum", [SHA256, MD5])
def test_the_file_arrives_whole(server, tmp_path, checksum):
    target = tmp_path / "new" / "file"
    assert download(f"{server.url}/file", target, checksum) == target
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_a_valid_file_is_not_fetched_again(server, tmp_path):
    target = tmp_path / "file"
    for _ in range(2):
        download(f"{server.url}/file", target, SHA256)
    assert server.requests == 1


def test_a_damaged_file_is_fetched_again(server, tmp_path):
    target = tmp_path / "file"
    target.write_bytes(b"damaged")
    download(f"{server.url}/file", target, SHA256)
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing_behind(server, tmp_path):
    with pytest.raises(ValueError, match=r"/file has sha256 .* not 00"):
        download(f"{server.url}/file", tmp_path / "file", "sha256:00")
    assert not list(tmp_path.iterdir())


def test_a_wrong_checksum_leaves_the_old_file_alone(server, tmp_path):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(ValueError, match="not kept"):
        download(f"{server.url}/file", target, "sha256:00")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("page", ["half", "absent"])
def test_a_failed_download_leaves_nothing_behind(server, tmp_path, page):
    with pytest.raises((OSError, ValueError), match=f"/{page}"):
        download(f"{server.url}/{page}", tmp_path / "file", SHA256)
    assert not list(tmp_path.iterdir())


def test_no_server_is_one_clear_error(server, tmp_path):
    with pytest.raises(OSError, match=r"cannot download http://127\.0\.0\.1:1/file: .*refused"):
        download("http://127.0.0.1:1/file", tmp_path / "file", SHA256)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_shown_on_a_terminal(server, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    download(f"{server.url}/file", tmp_path / "file", SHA256)
    drawn = sys.stderr.getvalue().split("\r")
    assert drawn[-1] == f"file [{'=' * 30}] 2 MB\n"
    assert drawn[1] == f"file [{'=' * 13:30}] 1 MB"  # after the first chunk of a megabyte


def test_progress_is_not_shown_elsewhere(server, tmp_path, capsys):
    download(f"{server.url}/file", tmp_path / "file", SHA256)
    assert capsys.readouterr() == ("", "")
