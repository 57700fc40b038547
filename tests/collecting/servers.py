"""A real local HTTP server that misbehaves as asked, and remembers what it was asked for."""

from __future__ import annotations

import gzip
import http.server
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.collecting.photos import photo

Answer = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the path, as the server's `answers` say; 404 without one."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Count, then answer."""
        path = self.path.partition("?")[0]
        with self.server.lock:
            self.server.asked[path] += 1
            self.server.times.append((path, time.monotonic()))
            self.server.n_now += 1
            self.server.n_together = max(self.server.n_together, self.server.n_now)
        try:
            self.server.answers.get(path, status(404))(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with self.server.lock:
                self.server.n_now -= 1

    def begin(self, code: int, headers: dict[str, str]) -> None:
        """Status line and headers."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """What is asked, and how it is answered."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()
        self.times: list[tuple[str, float]] = []
        self.lock = threading.Lock()
        self.n_now = self.n_together = 0

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no error."""


@contextmanager
def serving() -> Iterator[Server]:
    """A server while it is needed."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(data: bytes, content_type: str = "image/jpeg", **headers: str) -> Answer:
    """The bytes as they are."""

    def answer(handler: Handler) -> None:
        handler.begin(200, {"Content-Type": content_type, "Content-Length": str(len(data)), **headers})
        handler.wfile.write(data)

    return answer


def status(code: int, **headers: str) -> Answer:
    """An error, with an HTML page as servers like it."""

    def answer(handler: Handler) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.begin(code, {"Content-Length": "13", "Content-Type": "text/html", **named})
        handler.wfile.write(b"<html></html>")

    return answer


def moved(to: str, code: int = 302) -> Answer:
    """A redirect."""
    return status(code, Location=to)


def in_turn(*answers: Answer) -> Answer:
    """The first time the first of these, and so on; the last one for good."""
    turns = itertools.chain(answers, itertools.repeat(answers[-1]))
    return lambda handler: next(turns)(handler)


def held(until: threading.Event, answer: Answer) -> Answer:
    """The answer, but not before."""

    def wait(handler: Handler) -> None:
        until.wait(120)
        answer(handler)

    return wait


def slow(data: bytes, step_bytes: int, pause_s: float) -> Answer:
    """The bytes, a few at a time."""

    def answer(handler: Handler) -> None:
        handler.begin(200, {"Content-Length": str(len(data))})
        for start in range(0, len(data), step_bytes):
            handler.wfile.write(data[start : start + step_bytes])
            handler.wfile.flush()
            time.sleep(pause_s)

    return answer


def cut_off(data: bytes, *, told: bool) -> Answer:
    """Half of the bytes, then silence; `told`: the header promised all of them."""

    def answer(handler: Handler) -> None:
        handler.begin(200, {"Content-Length": str(len(data))} if told else {"Connection": "close"})
        handler.wfile.write(data[: len(data) // 2])
        handler.close_connection = True

    return answer


def endless(handler: Handler) -> None:
    """A photo's beginning, and then zeros for ever, in chunks: nobody says how many."""
    handler.begin(200, {"Transfer-Encoding": "chunked"})
    chunk = photo(1) + bytes(2**16)
    while True:
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))


def bomb(n_bytes: int) -> Answer:
    """Zeros, compressed a thousandfold."""
    return send(gzip.compress(photo(1) + bytes(n_bytes)), **{"Content-Encoding": "gzip"})
