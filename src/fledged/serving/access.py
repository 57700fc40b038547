"""Who is answered at all: the right name, no other site's page, and a key where keys are asked for.

A page of another site can make a browser send requests to servers that only its user can reach. It may do so under a
name of its own that it points at such a server ("DNS rebinding"), and then it reads the answers as well; or under the
server's name, and then it reads nothing, but what it sent was done ("cross-site request forgery"). The first is told
by `Host`, the second by `Origin`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from fledged.serving.keys import Keys
from fledged.settings.serving import AccessConfig

_HARMLESS = {"GET", "HEAD", "OPTIONS"}


def guarded(app: ASGIApp, access: AccessConfig, own_name: str, keys: Keys, open_paths: Collection[str]) -> ASGIApp:
    """The same app for those who may ask.

    400 for a request of two lengths, 421 for a name that is not ours, 403 for other sites' pages, 401 without a key;
    `open_paths` need none.
    """
    names = {"localhost", own_name.lower(), *(name.lower().rstrip(".") for name in access.allowed_hosts)}

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        refusal = None
        if "content-length" in headers and "transfer-encoding" in headers:
            # Two servers that believe different ones of them see different requests ("request smuggling").
            refusal = _refusal(
                400, "The request has two lengths", "Send Content-Length or Transfer-Encoding, not both."
            )
        elif not is_allowed(host, names):
            refusal = _refusal(
                421,
                "This server is not asked under this name",
                "Use localhost or its address; whoever runs it can add the name to serve.access.allowed_hosts.",
            )
        elif "*" not in names and _is_of_another_site(scope["method"], headers.get("origin"), host, access):
            refusal = _refusal(
                403,
                "Pages of another site may not ask this server",
                "Whoever runs it can add the site to serve.access.allow_origins.",
            )
        elif scope["path"] not in open_paths and not keys.allow(headers):
            refusal = _refusal(
                401,
                "This needs an API key" if not _brings_a_key(headers) else "This API key is not known",
                "Send it as `Authorization: Bearer KEY` or `x-api-key: KEY`.",
            )
            refusal.headers["WWW-Authenticate"] = "Bearer"
        await (refusal or app)(scope, receive, send)

    return answering


def is_allowed(host: str, names: Collection[str]) -> bool:
    """Whether `host`, a Host header, is one of `names`, below one of its `*.name`, or an address in numbers.

    Numbers are safe: no page has an origin there without having been served from there.
    """
    if "*" in names:
        return True
    name = _without_port(host.lower())
    if name is None:
        return False
    bare = name.rstrip(".")
    if bare in names or any(bare.endswith(known[1:]) for known in names if known.startswith("*.")):
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _without_port(host: str) -> str | None:
    if host.startswith("["):
        name, bracket, port = host.partition("]")
        name, port = name + bracket, port.removeprefix(":") if port else "0"
        is_whole = bool(bracket)
    else:
        name, colon, port = host.partition(":")
        is_whole, port = True, port if colon else "0"
    return name if is_whole and name and port.isascii() and port.isdecimal() else None


def _is_of_another_site(method: str, origin: str | None, host: str, access: AccessConfig) -> bool:
    if origin is None or method in _HARMLESS or "*" in access.allow_origins or origin in access.allow_origins:
        return False
    return origin.lower().partition("://")[2] != host.lower()


def _brings_a_key(headers: Headers) -> bool:
    return "x-api-key" in headers or "authorization" in headers


def _refusal(status: int, what: str, remedy: str) -> JSONResponse:
    # The body may not have been read, so the connection cannot be used again.
    return JSONResponse({"error": what, "remedy": remedy}, status, {"Connection": "close"})
