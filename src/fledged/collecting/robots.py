"""What servers ask of programs: robots.txt, read once a server and run (RFC 9309)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

import httpx
from protego import Protego

from fledged.collecting.offers import Refusal

# A server that wants longer pauses is asked with these.
_MAX_DELAY_S = 30.0
# Those who waited for the same file share its failure.
_SAME_FAILURE_S = 0.4

Get = Callable[[httpx.URL], Awaitable[tuple[int, bytes]]]


class Robots:
    """The rules of each server, fetched when they are first needed."""

    def __init__(self, get: Get, agent: str) -> None:
        self._get = get
        self._agent = agent
        self._rules: dict[str, Protego] = {}
        self._failures: dict[str, tuple[float, Refusal]] = {}
        self._reading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._last_s: dict[str, float] = {}

    async def wait_for_leave(self, url: httpx.URL) -> None:
        """Return when the server lets us ask for this address. Raises Refusal if it does not."""
        origin = f"{url.scheme}://{url.netloc.decode()}"
        async with self._reading[origin]:
            if origin not in self._rules:
                self._rules[origin] = await self._read(origin)
        rules = self._rules[origin]
        if not rules.can_fetch(str(url), self._agent):
            raise Refusal("robots.txt forbids it", by_setting=True)
        await self._pause(origin, min(float(rules.crawl_delay(self._agent) or 0), _MAX_DELAY_S))

    async def _pause(self, origin: str, delay_s: float) -> None:
        if not delay_s:
            return
        clock = asyncio.get_running_loop().time
        async with self._turns[origin]:
            await asyncio.sleep(max(0.0, self._last_s.get(origin, -delay_s) + delay_s - clock()))
            self._last_s[origin] = clock()

    async def _read(self, origin: str) -> Protego:
        """The rules; none where the server has no such file. Raises Refusal if it cannot say, for now."""
        clock = asyncio.get_running_loop().time
        failed_s, failure = self._failures.get(origin, (0.0, None))
        if failure is not None and clock() - failed_s < _SAME_FAILURE_S:
            raise failure
        try:
            status, text = await self._get(httpx.URL(f"{origin}/robots.txt"))
            if status >= 500 or status == 429:
                # "Unreachable": the RFC says to assume that all is forbidden.
                raise Refusal("robots.txt cannot be read", f"HTTP {status}", again=True)
        except Refusal as why:
            if not (why.again or why.by_setting):  # what is wrong with this file is no verdict on a photo, for good
                why = Refusal("robots.txt cannot be read", str(why), again=True)
            self._failures[origin] = (clock(), why)
            raise why from None
        return Protego.parse(text.decode("utf-8", "replace"))
