"""One address to the bytes behind it, however its server behaves.

Limits hold against what servers say as well as against what they do: bytes are counted as they come, decompressed in
small steps; each redirect is one that we decided to follow, to an address that was judged like the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType

import httpcore
import httpx

from fledged import __version__
from fledged.collecting.addresses import CheckedTransport
from fledged.collecting.offers import Refusal
from fledged.collecting.robots import Robots
from fledged.settings.lake import CollectConfig

AGENT = "fledged"
_HEADERS = {
    "User-Agent": f"{AGENT}/{__version__} (gathers photos for image classifiers)",
    "Accept": "image/*,*/*;q=0.5",
    "Accept-Encoding": "identity",  # photos are compressed already
}
TOO_SLOW, UNREACHABLE = "too slow", "its server cannot be reached"
_REDIRECTS = (301, 302, 303, 307, 308)
# Errors that pass; 520 to 524 are Cloudflare's for a server that does not answer it.
_PASSING = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524}
_STEP_BYTES = 2**16
# https://www.rfc-editor.org/rfc/rfc9309.html#name-limits asks for at least 500 KiB.
_MAX_ROBOTS_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server sent."""

    data: bytes
    content_type: str | None
    is_whole: bool  # the server said how much there would be, and there was


class Client:
    """Fetches addresses within the limits of the config; used as `async with`."""

    def __init__(self, config: CollectConfig) -> None:
        self._config = config
        transport = CheckedTransport(allow_private=config.allow_private, max_connections=config.concurrency)
        self._http = httpx.AsyncClient(transport=transport, headers=_HEADERS, timeout=config.timeout_s)
        self._robots = Robots(self._get_robots, AGENT)
        # Redirects of many servers may lead to one, which whoever starts the downloads does not see.
        self._turns: defaultdict[bytes, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(config.per_host))

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def fetch(self, address: str) -> Fetched:
        """The bytes behind an address, in one try. Raises Refusal."""
        url = parse(address)
        deadline_s = _now_s() + self._config.timeout_s
        for _ in range(self._config.max_redirects + 1):
            asked_s = _now_s()
            if self._config.respect_robots:
                await self._robots.wait_for_leave(url)
            async with self._turns[url.netloc]:
                deadline_s += _now_s() - asked_s  # waiting for one's turn is not the server's slowness
                answer = await self._ask(url, deadline_s, int(self._config.max_megabytes * 2**20))
            if isinstance(answer, Fetched):
                return answer
            url = answer
        raise Refusal("too many redirects", f"over {self._config.max_redirects}", by_setting=True)

    async def _ask(self, url: httpx.URL, deadline_s: float, max_bytes: int) -> Fetched | httpx.URL:
        """The photo, or where it is instead."""
        async with _refusing(self._config.timeout_s, deadline_s), self._http.stream("GET", url) as response:
            if response.status_code not in (200, *_REDIRECTS):
                raise _by_status(response)
            found = await _body(response, max_bytes) if response.status_code == 200 else _target(response)
        return found  # noqa: RET504 - mypy believes that the context could swallow an error

    async def _get_robots(self, url: httpx.URL) -> tuple[int, bytes]:
        """Status and text of a robots.txt, after redirects."""
        deadline_s = _now_s() + self._config.timeout_s
        for _ in range(self._config.max_redirects + 1):
            async with _refusing(self._config.timeout_s, deadline_s), self._http.stream("GET", url) as response:
                status = response.status_code
                text = await _beginning(response, _MAX_ROBOTS_BYTES) if status < 300 else b""
                moved = _target(response) if status in _REDIRECTS else None
            if moved is None:
                return status, text
            url = moved
        return 404, b""  # so says the RFC of too many redirects


def parse(address: str) -> httpx.URL:
    """The address as a URL without its fragment. Raises Refusal."""
    try:
        url = httpx.URL(address.strip()).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise Refusal("not an address", str(error)) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise Refusal("not an address", "it begins with neither http:// nor https://")
    if url.userinfo:
        raise Refusal("not an address", "it holds a user or password")
    return url


def _target(response: httpx.Response) -> httpx.URL:
    location = response.headers.get("location", "")
    if not location:
        raise Refusal("a redirect to nowhere")
    try:
        return parse(str(response.url.join(location)))
    except (httpx.InvalidURL, ValueError) as error:
        raise Refusal("a redirect to nowhere", location[:200]) from error


def _by_status(response: httpx.Response) -> Refusal:
    status = response.status_code
    return Refusal(
        f"HTTP {status}", again=status in _PASSING, after_s=_retry_after_s(response.headers.get("retry-after", ""))
    )


def _retry_after_s(text: str) -> float | None:
    """Seconds to wait, of a Retry-After in seconds or as a date."""
    if _is_number(text.strip()):
        return float(text)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


async def _beginning(response: httpx.Response, max_bytes: int) -> bytes:
    """So much of a text as we read at most."""
    text = b""
    async for part in _decompressed(response):
        text += part
        if len(text) >= max_bytes:
            break
    return text[:max_bytes]


async def _body(response: httpx.Response, max_bytes: int) -> Fetched:
    too_large = Refusal("too large", f"over {max_bytes / 2**20:g} MB", by_setting=True)
    length = response.headers.get("content-length", "")
    if _is_number(length) and int(length) > max_bytes:
        raise too_large
    parts, n_bytes = [], 0
    async for part in _decompressed(response):
        parts.append(part)
        n_bytes += len(part)
        if n_bytes > max_bytes:
            raise too_large
    chunked = "chunked" in response.headers.get("transfer-encoding", "").lower()
    return Fetched(b"".join(parts), response.headers.get("content-type"), bool(length) or chunked)


async def _decompressed(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body without the gzip or deflate that some servers add unasked, in steps that stay small."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        async for raw in response.aiter_raw(_STEP_BYTES):
            yield raw
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Refusal("compressed in a way that is not known", encoding[:40])
    unpack = zlib.decompressobj(wbits=47 if encoding != "deflate" else 15)
    try:
        async for raw in response.aiter_raw(_STEP_BYTES):
            while raw:
                yield unpack.decompress(raw, _STEP_BYTES)
                raw = unpack.unconsumed_tail
    except zlib.error as error:
        raise Refusal("damaged on the way", str(error), again=True) from error
    if not unpack.eof:
        raise Refusal("damaged on the way", "it ends before the photo does", again=True)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def _refusing(timeout_s: float, deadline_s: float) -> AsyncIterator[None]:
    """Ends at the deadline, and turns what can happen on the way into a Refusal that says so."""
    try:
        async with asyncio.timeout_at(deadline_s):
            yield
    except (TimeoutError, httpcore.TimeoutException) as error:
        raise Refusal(TOO_SLOW, f"over {timeout_s:g} s", again=True) from error
    except httpcore.ConnectError as error:
        raise Refusal(UNREACHABLE, str(error)[:200], again=True) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError, OSError) as error:
        raise Refusal("damaged on the way", str(error)[:200], again=True) from error
