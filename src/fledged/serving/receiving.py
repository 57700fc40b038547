"""A client has so long to send a whole request; then its connection is closed.

uvicorn by itself waits for ever: for the first byte, for the rest of a header, for the rest of a body. Clients that
send a byte now and then ("slow loris") would hold every connection that a server can have.

Who hangs up while its photo waits in line is marked as gone: nobody would read the answer, and those who wait behind it
would pay for it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fledged.serving.line import GONE

# A request that is half sent when the server is stopped.
_LAST_S = 5.0

_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b"
)
_BODY = b'{"error": "The request did not arrive in time", "remedy": "Send it again, on a better connection."}'


def protocol(receive_timeout_s: float) -> type[asyncio.Protocol]:
    """uvicorn's protocol with a limit on the time from the first byte of a request, or the connection, to its last."""

    class TimedProtocol(H11Protocol):
        _limit: asyncio.TimerHandle | None = None
        _is_last = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_request()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
                self._await_request()
            else:
                self._forget()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._forget()  # between two requests it is uvicorn's own timeout that counts

        def shutdown(self) -> None:
            if self.transport.is_closing():
                return
            super().shutdown()
            if self.conn.their_state is h11.SEND_BODY and not self._is_last:
                self._is_last = True  # its photo may still be taken, unless that lasts
                self._forget()
                self._limit = self.loop.call_later(min(_LAST_S, receive_timeout_s), self._give_up)

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            if self.scope is not None:
                self.scope["state"][GONE] = True
            super().connection_lost(exc)

        def _await_request(self) -> None:
            if self._limit is None:
                self._limit = self.loop.call_later(receive_timeout_s, self._give_up)

        def _forget(self) -> None:
            if self._limit is not None:
                self._limit.cancel()
                self._limit = None

        def _give_up(self) -> None:
            self._limit = None
            if self.transport.is_closing():
                return
            if self.conn.our_state is h11.IDLE or (self.cycle is not None and not self.cycle.response_started):
                self.transport.write(_TOO_SLOW % (len(_BODY), _BODY))
            self.transport.close()

    return TimedProtocol
