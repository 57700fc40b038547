"""What the server tells of a request: counts for machines and a line of the log.

Never what was sent, nor who sent it: no photo, no name of a file, no query, no header, no key.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fledged.serving.metrics import Metrics

Tell = Callable[[dict[str, object]], None]

_METHODS = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"}
_LONGEST_PATH = 128


def tell_nobody(told: dict[str, object]) -> None:
    """No log."""


def to_stderr(told: dict[str, object]) -> None:
    """A line of JSON to standard error, with the time in front."""
    time_now = datetime.now(UTC).isoformat(timespec="milliseconds")
    sys.stderr.write(json.dumps({"time": time_now, **told}) + "\n")
    sys.stderr.flush()


def observed(app: ASGIApp, metrics: Metrics, tell: Tell, routes: Collection[str]) -> ASGIApp:
    """The same app, each of its answers counted and told of; `routes` are the paths that are counted apart."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        start_s = time.perf_counter()
        # The app leaves the number of photos here.
        state = scope.setdefault("state", {})
        status, n_bytes = 500, 0  # an app that fails before it answers is answered for with 500

        async def receive_counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            return message

        async def send_watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive_counted, send_watched)
        finally:
            seconds = time.perf_counter() - start_s
            path = scope["path"]
            method = scope["method"] if scope["method"] in _METHODS else "other"
            metrics.request(path if path in routes else "other", method, status, seconds, n_bytes)
            tell(
                {
                    "method": method,
                    "path": path[:_LONGEST_PATH],
                    "status": status,
                    "ms": round(1000 * seconds, 1),
                    "bytes_in": n_bytes,
                    "n_photos": state.get("n_photos", 0),
                }
            )

    return answering
