"""A photo from an address that a client names, without a way into the network that this server stands in.

A name is looked up once for each step, every address found must be of the open internet, and the connection is made to
the very address that was judged; redirects are judged as the first address was.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from fledged.addresses import is_public
from fledged.errors import RequestError
from fledged.settings.serving import ByUrlConfig

_HOW = 'POST JSON such as {"url": "https://example.org/photo.jpg"}.'
_CHUNK = 64 * 1024
_LONGEST_URL = 4096
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {"User-Agent": "fledged", "Accept": "image/*", "Accept-Encoding": "identity", "Connection": "close"}


def url_in(body: bytes) -> str:
    """The address that a request names. Raises RequestError (400)."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError("The request is not JSON", status=400, remedy=_HOW) from error
    url = asked.get("url") if isinstance(asked, dict) else None
    if not isinstance(url, str) or not url:
        raise RequestError("The request names no `url`", status=400, remedy=_HOW)
    return url


def fetch_photo(url: str, config: ByUrlConfig, max_bytes: int) -> bytes:
    """What lies at an address, at most `max_bytes`.

    Raises RequestError: 400 for what is no address, 403 for one that is not public, 413 for too much, and 404 where the
    other server has none, fails or takes too long.
    """
    until_s = time.monotonic() + config.timeout_s
    for _ in range(config.max_redirects + 1):
        place = _place(url)
        try:
            with (
                _connected(place, config, until_s) as connection,
                contextlib.closing(_asked(connection, place)) as answer,
            ):
                moved_to = answer.getheader("Location") if answer.status in _REDIRECTS else None
                if moved_to is None:
                    photo = _body(answer, max_bytes)
                    if time.monotonic() >= until_s:  # an end that is ours looks like one that is theirs
                        raise TimeoutError
                    return photo
                url = urljoin(url, moved_to)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= until_s:
                raise _failed(f"has not sent it within {config.timeout_s:g} s") from error
            raise _failed("cannot be reached") from error
    raise _failed(f"redirects more than {config.max_redirects} times")


@dataclass(frozen=True, slots=True)
class _Place:
    is_secure: bool
    host: str  # as ASCII
    port: int
    netloc: str
    target: str  # path and query


def _place(url: str) -> _Place:
    try:
        if len(url) > _LONGEST_URL or not url.isprintable():
            raise ValueError("too long, or with signs that no address has")
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode() if "%" not in parts.netloc else ""
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        if not host or "@" in parts.netloc or "\\" in parts.netloc:
            raise ValueError("no host, or a password")
    except (ValueError, KeyError) as error:
        what = "This is not the address of a photo"
        raise RequestError(what, status=400, remedy="It begins with http:// or https:// and a host.") from error
    if port < 1024 and port not in (80, 443):
        remedy = "Photos are fetched from ports 80, 443 and those from 1024 on."
        raise RequestError(f"Port {port} is not one of the web", status=403, remedy=remedy)
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        f"?{quote(parts.query, safe='/?%:@!$&()*+,;=~-._')}" if parts.query else ""
    )
    shown = f"[{host}]" if ":" in host else host
    return _Place(parts.scheme == "https", host, port, f"{shown}:{parts.port}" if parts.port else shown, target)


@contextlib.contextmanager
def _connected(place: _Place, config: ByUrlConfig, until_s: float) -> Iterator[socket.socket]:
    """A connection to a vetted address, which is cut when the time is over, whatever the other side does."""
    held = [_to_any(_vetted(place, allow_private=config.allow_private), place.port, until_s)]
    # Each read may take as long as the whole fetch; this is what bounds all of them together.
    alarm = threading.Timer(max(0.0, until_s - time.monotonic()), _cut, [held])
    alarm.daemon = True
    alarm.start()
    try:
        if place.is_secure:
            held.append(ssl.create_default_context().wrap_socket(held[0], server_hostname=place.host))
        yield held[-1]
    finally:
        alarm.cancel()
        held[-1].close()


def _vetted(place: _Place, *, allow_private: bool) -> list[str]:
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _failed("cannot be found") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private and not all(map(is_public, addresses)):
        raise RequestError(
            "This address is not on the open internet", status=403, remedy="Send the photo itself to /classify."
        )
    return addresses


def _to_any(addresses: list[str], port: int, until_s: float) -> socket.socket:
    failed: OSError = ConnectionError("no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=max(0.01, until_s - time.monotonic()))
        except OSError as error:
            failed = error
    raise failed


def _asked(connection: socket.socket, place: _Place) -> http.client.HTTPResponse:
    client = http.client.HTTPConnection(place.host, place.port)
    client.sock = connection  # it would look the name up again otherwise
    client.request("GET", place.target, headers={"Host": place.netloc, **_HEADERS})
    return client.getresponse()


def _body(answer: http.client.HTTPResponse, max_bytes: int) -> bytes:
    if answer.status != 200:
        raise _failed(f"answers with status {answer.status}")
    body = bytearray()
    while chunk := answer.read(_CHUNK):
        body += chunk
        if len(body) > max_bytes:
            what = f"The photo is larger than the limit of {max_bytes / 2**20:g} MB"
            raise RequestError(what, status=413, remedy="Take a smaller photo.")
    if answer.length:  # what it promised and did not send
        raise http.client.IncompleteRead(b"")
    return bytes(body)


def _cut(held: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        held[-1].shutdown(socket.SHUT_RDWR)


def _failed(how: str) -> RequestError:
    return RequestError(f"The photo's server {how}", status=404, remedy="Try again, or send the photo itself.")
