"""What is asked of Google's service, as one that answers like it hears it, and what is told where it refuses."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("obstore")

from fledged import stores
from fledged.areas import Conflict, keeps_conditions
from fledged.errors import WorkspaceError
from fledged.stores import Store

_DIGEST = hashlib.sha256(b"1").hexdigest()
_REFUSED = {
    "denied": (403, "AccessDenied"),
    "expired": (401, "AuthenticationRequired"),
    "nosuch": (404, "NoSuchBucket"),
}


class Google(BaseHTTPRequestHandler):
    """The part of Cloud Storage's XML interface that is asked here."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, tuple[int, bytes, str]] = {}  # path -> generation, content, sha256
    generations = itertools.count(1_700_000_000_000_000)
    slow_downs: list[int] = []  # what the next requests are answered with

    def log_message(self, *words: object) -> None:
        """Silent."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self) -> None:
        path, data = unquote(self.path), self.rfile.read(int(self.headers["Content-Length"]))
        if self.slow_downs:
            return self.answer(self.slow_downs.pop())
        if not self.is_refused(path):
            held = self.objects.get(path, (0, b"", ""))
            if self.headers["x-goog-if-generation-match"] != str(held[0]):
                return self.answer(412)
            generation = next(self.generations)
            self.objects[path] = generation, data, self.headers["x-goog-meta-sha256"]
            self.answer(200, ETag=f'"{generation}"', x_goog_generation=str(generation))
        return None

    def do_GET(self) -> None:
        path = unquote(self.path)
        if self.is_refused(path):
            return None
        if path not in self.objects:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        generation, data, sha256 = self.objects[path]
        return self.answer(
            200,
            data,
            ETag=f'"{generation}"',
            Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT",
            x_goog_generation=str(generation),
            x_goog_meta_sha256=sha256,
        )

    do_HEAD = do_GET

    def is_refused(self, path: str) -> bool:
        status, code = _REFUSED.get(urlsplit(path).path.split("/")[1], (0, ""))
        if status:
            self.answer(status, f"<Error><Code>{code}</Code></Error>".encode())
        return bool(status)


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Google)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = {
        "gcs_base_url": f"http://127.0.0.1:{server.server_address[1]}",
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(key))
    monkeypatch.setattr(stores, "_CLIENT", stores._CLIENT | {"allow_http": True})
    stores._opened.cache_clear()
    yield
    stores._opened.cache_clear()
    server.shutdown()
    server.server_close()


def test_google_is_told_the_generation_that_is_written_over(google: None, tmp_path: Path) -> None:
    store = Store("gs://box/work")
    assert (store.get("x"), store.seen("x"), store.download("x", tmp_path / "x")) == (None, None, None)
    first = store.put("x", b"1", _DIGEST, None)
    with pytest.raises(Conflict):
        store.put("x", b"2", _DIGEST, None)
    second = store.put("x", b"3", _DIGEST, first)
    with pytest.raises(Conflict):
        store.put("x", b"4", _DIGEST, first)
    held, seen = store.get("x"), store.seen("x")
    assert held is not None
    assert seen is not None
    assert (held.data, held.tag, seen.tag, seen.sha256) == (b"3", second, second, _DIGEST)
    assert store.download("x", tmp_path / "x") == hashlib.sha256(b"3").hexdigest()
    assert (tmp_path / "x").read_bytes() == b"3"
    assert keeps_conditions(store)


def test_a_service_that_slows_down_is_asked_again(google: None) -> None:
    store = Store("gs://box/slow")
    Google.slow_downs[:] = [503, 429]
    first = store.put("x", b"1", _DIGEST, None)
    Google.slow_downs[:] = [503, 429]
    store.put("x", b"2", _DIGEST, first)
    held = store.get("x")
    assert held is not None
    assert held.data == b"2"
    assert not Google.slow_downs


@pytest.mark.parametrize(
    ("bucket", "words"),
    [
        ("denied", "You may not do this"),
        ("expired", "The credentials are not valid"),
        ("nosuch", "There is no such bucket"),
    ],
)
def test_refusals_are_told_in_one_line(google: None, bucket: str, words: str) -> None:
    store = Store(f"gs://{bucket}/work")
    with pytest.raises(WorkspaceError, match=rf"{words} \(gs://{bucket}/work/x\)") as refused:
        store.get("x")
    assert "\n" not in str(refused.value)
    with pytest.raises(WorkspaceError, match=words):
        store.put("x", b"1", _DIGEST, None)


def test_an_address_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(WorkspaceError, match="names no account, nor does AZURE_STORAGE_ACCOUNT_NAME"):
        Store("abfs://box/work").get("x")


def test_a_file_that_is_too_large_or_changes_is_not_sent(
    google: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, store = tmp_path / "photos.parquet", Store("gs://box/other")
    path.write_bytes(b"12")
    with pytest.raises(WorkspaceError, match="This file changed meanwhile"):
        store.put("x", path, _DIGEST, None)
    monkeypatch.setattr(stores, "_MOST_BYTES", 1)
    with pytest.raises(WorkspaceError, match="more than 1 GB"):
        store.put("x", path, _DIGEST, None)
    assert store.seen("x") is None
