"""What stands in front of a function: HTTP requests become the events of a function URL, as AWS makes them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.deploying.emulator import Function, body_of
from tests.events import event

MAX_EVENT_BYTES = 6 * 2**20


@contextlib.contextmanager
def in_front_of(function: Function) -> Iterator[str]:
    """Its address, for as long as the block lasts; the function answers one event at a time."""
    turn = threading.Lock()

    class Gateway(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: object) -> None:
            """Silent."""

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            made = event("url", self.command, path, body, headers, query)
            if len(made["body"]) > MAX_EVENT_BYTES:
                told: dict[str, Any] = {"statusCode": 413, "body": '{"Message": null}', "isBase64Encoded": False}
            else:
                with turn:
                    told = function(made)
                if "statusCode" not in told:
                    told = {"statusCode": 502, "body": "Internal Server Error", "isBase64Encoded": False}
            data = body_of(told)
            self.send_response(told["statusCode"])
            for name, value in told.get("headers", {}).items():
                if name != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_POST = do_HEAD = do_PUT = answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
