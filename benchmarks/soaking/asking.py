"""A client that sends any bytes and takes down what came back: one asyncio loop, connections that are used again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

# Four times the server's own deadline: who is not answered by then never is.
PATIENCE_S = 120.0
_MOST_IDLE = 256


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0 where it was nothing, and then `why`."""

    status: int
    body: bytes
    head: bytes
    seconds: float
    why: str = ""
    sent_s: float = float("inf")  # by time.monotonic(): when all of it had been handed over


class Asker:
    """Sends requests to one server, each on a connection that is free."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, request: bytes) -> Answer:
        """The answer to a whole request. A connection that was closed meanwhile is replaced, as clients do."""
        start_s = time.perf_counter()
        sent_s = float("inf")

        def nothing(why: str) -> Answer:
            return Answer(0, b"", b"", time.perf_counter() - start_s, why, sent_s)

        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    reader, writer, is_used = await self._connection()
                    try:
                        writer.write(request)
                        if not writer.transport.get_write_buffer_size():
                            sent_s = min(sent_s, time.monotonic())
                        status, head, body = await _read_answer(reader)
                    except (OSError, asyncio.IncompleteReadError) as error:
                        writer.close()
                        if is_used and not getattr(error, "partial", b""):
                            continue
                        return nothing(f"lost: {type(error).__name__}")
                    if b"connection: close" in head or len(self._free) >= _MOST_IDLE:
                        writer.close()
                    else:
                        self._free.append((reader, writer))
                    return Answer(status, body, head, time.perf_counter() - start_s, "", sent_s)
        except TimeoutError:
            return nothing("hung")
        except OSError as error:
            return nothing(f"no connection: {type(error).__name__}")

    async def hang_up(self, piece: bytes, after_s: float) -> None:
        """Send this much, wait, and go away without a word."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return
        writer.write(piece)
        await asyncio.sleep(after_s)
        writer.transport.abort() if after_s else writer.close()

    async def drip(self, pieces: list[bytes], pause_s: float) -> Answer:
        """Send piece by piece until the server has had enough; what it said then."""
        start_s = time.perf_counter()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError as error:
            return Answer(0, b"", b"", 0.0, f"no connection: {type(error).__name__}")
        reading = asyncio.create_task(reader.read())
        for piece in pieces:
            if reading.done():
                break
            writer.write(piece)
            await asyncio.wait([reading], timeout=pause_s)
        done, _ = await asyncio.wait([reading], timeout=PATIENCE_S)
        reading.cancel()
        writer.close()
        seconds = time.perf_counter() - start_s
        if not done:
            return Answer(0, b"", b"", seconds, "hung")
        told = b"" if reading.exception() else reading.result()
        head, _, body = told.partition(b"\r\n\r\n")
        return Answer(int(head[9:12] or 0), body, head, seconds)

    def close(self) -> None:
        """Let go of all connections that are free."""
        while self._free:
            self._free.pop()[1].close()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bool]:
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer, True
            writer.close()
        return *await asyncio.open_connection("127.0.0.1", self._port), False


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(head[9:12]), head, await reader.readexactly(int(value))
    return int(head[9:12]), head, await reader.read()
