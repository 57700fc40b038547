"""Load on a server: as fast as some clients can ask, or at a rate whatever comes back; all answers judged."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from benchmarks.soaking.asking import Answer, Asker
from benchmarks.soaking.mix import Ask, Mix, wrong

_MOST_IN_FLIGHT = 4000
# Statuses of a server that has too much to do: legitimate, and counted apart.
BUSY = (429, 503, 504)
RECEIVE_TIMEOUT_S = 20.0  # of the server: 408 before that is wrong


@dataclass(slots=True)
class Tally:
    """What came of requests, by kind."""

    sent: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    busy: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)  # "kind: in words"
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def n_busy(self, kind: str | None = None) -> int:
        """Refused by a server that had too much to do."""
        return sum(n for (of, _), n in self.busy.items() if kind in (None, of))


class Load:
    """Asks one server, and judges what it answers."""

    def __init__(self, asker: Asker, mix: Mix, judge: Callable[[Ask, bytes], str], seed: int = 1) -> None:
        self.asker, self.mix = asker, mix
        self.judge = judge
        self._rng = random.Random(seed)
        self.tally = Tally()
        self._n_in_flight = 0

    async def capacity(self, seconds: float, n_clients: int = 8) -> float:
        """Requests of the mix that are answered in a second, by clients that ask without a pause."""
        until_s = time.monotonic() + seconds
        n = 0

        async def client() -> None:
            nonlocal n
            while time.monotonic() < until_s:
                await self.one(self.mix.draw(self._rng))
                n += 1

        start_s = time.monotonic()
        await asyncio.gather(*(client() for _ in range(n_clients)))
        return n / (time.monotonic() - start_s)

    async def at_rate(self, rate: float, seconds: float) -> None:
        """Send the mix as chance has it, `rate` a second on average, and wait for the last answer."""
        async with asyncio.TaskGroup() as group:
            async for _ in arrivals(self._rng, rate, seconds):
                if self._n_in_flight >= _MOST_IN_FLIGHT:
                    self.tally.wrong.append("load: too many requests without an answer")
                    return
                group.create_task(self.one(self.mix.draw(self._rng)))

    async def one(self, ask: Ask) -> Answer:
        """Ask, and count what came."""
        self.tally.sent[ask.kind] += 1
        self._n_in_flight += 1
        answer = await self.asker.ask(ask.data)
        self._n_in_flight -= 1
        what = self._what_is_wrong(ask, answer)
        if what:
            self.tally.wrong.append(f"{ask.kind}: {what}")
        elif answer.status in (*BUSY, 408):
            self.tally.busy[ask.kind, answer.status] += 1
        else:
            self.tally.right[ask.kind] += 1
            self.tally.seconds[ask.kind].append(answer.seconds)
        return answer

    async def slow_and_rude(self, seconds: float) -> None:
        """Clients that send too slowly, and others that hang up in the middle, one after the other."""
        until_s = time.monotonic() + seconds
        photo = self.mix.good[0].data
        head, half = photo[:30], photo[: len(photo) // 2]
        drips = {
            "nothing sent": ([], 1.0),
            "half a header": ([head], 1.0),
            "a header byte by byte": ([head[i : i + 1] for i in range(len(head))], 1.0),
            "half a photo": ([half], 1.0),
            "a photo byte by byte": ([half, *[half[-1:]] * 40], 1.0),
        }
        rude = [(half, 0.0), (half, 0.2), (photo, 0.0), (photo, 0.01), (head, 0.1), (b"", 0.0)]
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < until_s:
                for kind, (pieces, pause_s) in drips.items():
                    group.create_task(self._slow(f"slow: {kind}", pieces, pause_s))
                    for _ in range(4):
                        self.tally.sent["hangs up"] += 1
                        self.tally.right["hangs up"] += 1
                        group.create_task(self.asker.hang_up(*self._rng.choice(rude)))
                        await asyncio.sleep(min(0.5, max(0.0, until_s - time.monotonic())))
                    if time.monotonic() > until_s:
                        return

    async def _slow(self, kind: str, pieces: list[bytes], pause_s: float) -> None:
        self.tally.sent[kind] += 1
        answer = await self.asker.drip(pieces, pause_s)
        if answer.status in BUSY:
            self.tally.busy[kind, answer.status] += 1
        elif answer.why or answer.status not in (0, 408):  # closed without a word where nothing was asked yet
            self.tally.wrong.append(f"{kind}: {answer.why or answer.status}")
        else:
            self.tally.right[kind] += 1
            self.tally.seconds[kind].append(answer.seconds)

    def _what_is_wrong(self, ask: Ask, answer: Answer) -> str:
        if answer.status in BUSY:
            is_told = answer.status == 504 or b"retry-after:" in answer.head
            return "" if is_told else f"{answer.status} without Retry-After"
        if answer.status == 408 and answer.seconds >= RECEIVE_TIMEOUT_S:
            return ""
        if answer.status != ask.status:
            return answer.why or f"{answer.status} instead of {ask.status}: {answer.body[:120]!r}"
        return self.judge(ask, answer.body) if ask.status == 200 else ""


def judge_of(bundle_id: str, tolerance: float) -> Callable[[Ask, bytes], str]:
    """What compares an answer with the offline one."""
    return lambda ask, body: wrong(ask, body, bundle_id, tolerance)


async def arrivals(rng: random.Random, rate: float, seconds: float) -> AsyncIterator[float]:
    """Comes back at times of a Poisson process; those that are late already follow at once."""
    start_s = time.monotonic()
    at_s = 0.0
    while (at_s := at_s + rng.expovariate(rate)) < seconds:
        await asyncio.sleep(max(0.0, start_s + at_s - time.monotonic()))
        yield at_s


@contextlib.asynccontextmanager
async def beside(work: Callable[[], object]) -> AsyncIterator[None]:
    """`work()` every 5 s for as long as the block lasts."""

    async def again() -> None:
        while True:
            work()
            await asyncio.sleep(5)

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
