"""Connections to public servers only: a name is looked up once, judged, and the very address that was judged is used.

Without that, a list of addresses or a redirect could make this machine ask its own network for things that only it may
see, such as a cloud's metadata service ("server-side request forgery"); a name that is looked up twice could answer
differently the second time ("DNS rebinding").
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore
import httpx

from fledged.addresses import is_public
from fledged.collecting.offers import Refusal


async def look_up(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a host. Raises Refusal if there is none, or if any of them is not public."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Refusal("its server cannot be found", f"no address of {host}", again=True) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private and not all(is_public(address) for address in addresses):
        raise Refusal(
            "a private address",
            f"{host} is not on the open internet; --set collect.allow_private=true asks it all the same",
            by_setting=True,
        )
    return addresses


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to addresses that were judged."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        error: Exception = httpcore.ConnectError(f"no address of {host}")
        for address in await look_up(host, port, allow_private=self._allow_private):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._response.aiter_stream():
            yield part

    async def aclose(self) -> None:
        await self._response.aclose()


class CheckedTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 over connections to public servers; errors are those of httpcore, or Refusal."""

    def __init__(self, *, allow_private: bool, max_connections: int, ssl_context: ssl.SSLContext | None = None) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpx.create_ssl_context(),
            max_connections=max_connections,
            http2=False,
            network_backend=_CheckedBackend(allow_private=allow_private),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; redirects are not followed."""
        url = request.url
        response = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                extensions=request.extensions,
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()
