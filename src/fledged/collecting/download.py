"""Many addresses, from many servers at once, each server at its own pace.

A server that is busy is left alone for a while (longer each time, and as long as it says), and one that does not answer
at all is left for the next run, with all of its addresses.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from fledged import progress
from fledged.collecting.fetch import TOO_SLOW, UNREACHABLE, Client, Fetched
from fledged.collecting.offers import Refusal
from fledged.collecting.store import extension
from fledged.settings.lake import CollectConfig

# Doubles with each try, times 0.5 to 1.5, so that those who failed together do not come back together.
BACK_OFF_S = 1.0
MAX_BACK_OFF_S = 60.0
# Who asks us to stay away for longer is asked again by the next run.
MAX_RETRY_AFTER_S = 120.0
# So many tries in a row without any answer, and a server is left for the next run.
MAX_SILENT = 8
_SILENT = (TOO_SLOW, UNREACHABLE, "its server cannot be found")


@dataclass(frozen=True, slots=True)
class Sent:
    """A photo as a server sent it, found to be whole."""

    fetched: Fetched
    suffix: str


Begin = Callable[[str], Literal["go", "wait", "drop"]]
Settle = Callable[[str, Sent | Refusal], None]


def download(urls: Iterable[str], begin: Begin, settle: Settle, config: CollectConfig, report: progress.Report) -> None:
    """Fetch every address, telling `settle` once what came of it.

    `begin` is asked before the first try: "go", or "drop" if the address is not needed any more, or "wait" if that
    depends on others that are on their way. Both are called from one thread.
    """
    downloads = _Downloads(urls, begin, settle, config, report)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(downloads.run())
        return
    # In a notebook a loop is running already: ours gets a thread of its own.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, downloads.run()).result()


@dataclass(slots=True)
class _Job:
    url: str
    n_tries: int = 0


@dataclass(slots=True, eq=False)
class _Host:
    jobs: deque[_Job] = field(default_factory=deque)
    n_active: int = 0
    not_before_s: float = 0.0
    n_silent: int = 0  # tries in a row without an answer


class _Downloads:
    def __init__(
        self, urls: Iterable[str], begin: Begin, settle: Settle, config: CollectConfig, report: progress.Report
    ) -> None:
        self._begin, self._settle, self._config, self._report = begin, settle, config, report
        by_name: dict[str, _Host] = {}
        self._total = 0
        for url in urls:
            by_name.setdefault(_host_of(url), _Host()).jobs.append(_Job(url))
            self._total += 1
        self._hosts = deque(by_name.values())  # those with jobs that wait to be started
        self._running: dict[asyncio.Task[Sent | Refusal], tuple[_Host, _Job]] = {}
        self._done = 0

    async def run(self) -> None:
        async with Client(self._config) as client:
            while self._hosts or self._running:
                wait_s = self._start(client)
                if self._running:
                    ended, _ = await asyncio.wait(self._running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
                    for task in ended:
                        self._end(*self._running.pop(task), task.result())
                elif self._hosts:
                    await asyncio.sleep(wait_s or 0.01)

    def _start(self, client: Client) -> float | None:
        """Start what may start now; returns the seconds until a resting server may be asked again, if one rests."""
        rests_s: list[float] = []
        for _ in range(len(self._hosts)):
            if len(self._running) >= self._config.concurrency:
                return None
            host = self._hosts.popleft()
            if (rest_s := host.not_before_s - _now_s()) > 0:
                rests_s.append(rest_s)
            elif host.n_active < self._config.per_host and (job := self._next(host)):
                host.n_active += 1
                self._running[asyncio.create_task(self._try(client, job))] = (host, job)
            if host.jobs:
                self._hosts.append(host)
        return min(rests_s) if rests_s else None

    def _next(self, host: _Host) -> _Job | None:
        while host.jobs:
            job = host.jobs[0]
            verdict = "go" if job.n_tries else self._begin(job.url)
            if verdict == "wait":
                return None
            host.jobs.popleft()
            if verdict == "go":
                return job
            self._count()
        return None

    async def _try(self, client: Client, job: _Job) -> Sent | Refusal:
        job.n_tries += 1
        fetched = None
        try:
            fetched = await client.fetch(job.url)
            suffix = await asyncio.to_thread(extension, fetched.data, int(self._config.max_megabytes * 2**20))
            return Sent(fetched, suffix)
        except Refusal as why:
            if fetched is not None and not fetched.is_whole and why.detail.startswith(("truncated", "damaged")):
                return Refusal(why.reason, f"{why.detail}; the server did not say how long it is", again=True)
            return why
        except Exception as error:  # one address must not end the collecting of all others
            return Refusal("failed in an unforeseen way", f"{type(error).__name__}: {error}"[:200], again=True)

    def _end(self, host: _Host, job: _Job, outcome: Sent | Refusal) -> None:
        host.n_active -= 1
        why = outcome if isinstance(outcome, Refusal) else None
        host.n_silent = host.n_silent + 1 if why is not None and why.reason in _SILENT else 0
        too_long = why is not None and (why.after_s or 0) > MAX_RETRY_AFTER_S
        if why is not None and why.again and not too_long and job.n_tries <= self._config.retries:
            host.not_before_s = max(host.not_before_s, _now_s() + _pause_s(job.n_tries, why.after_s))
            if not host.jobs:
                self._hosts.append(host)
            host.jobs.appendleft(job)  # others may wait for its outcome
        else:
            self._settle(job.url, outcome)
            self._count()
        if why is not None and too_long:
            self._leave(host, Refusal("its server asks to come back later", f"in {why.after_s:.0f} s", again=True))
        elif host.n_silent >= MAX_SILENT:
            self._leave(host, Refusal("its server does not answer", f"{MAX_SILENT} times in a row", again=True))

    def _leave(self, host: _Host, why: Refusal) -> None:
        """Give up a server for this run."""
        while host.jobs:
            job = host.jobs.popleft()
            if job.n_tries or self._begin(job.url) != "drop":
                self._settle(job.url, why)
            self._count()
        if host in self._hosts:
            self._hosts.remove(host)

    def _count(self) -> None:
        self._done += 1
        self._report("Downloading photos", self._done, self._total)


def _pause_s(n_tries: int, after_s: float | None) -> float:
    """How long to leave a server alone; at least what it said."""
    back_off_s = min(BACK_OFF_S * 2.0 ** (n_tries - 1), MAX_BACK_OFF_S) * random.uniform(0.5, 1.5)
    return max(back_off_s, after_s or 0.0)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _now_s() -> float:
    return asyncio.get_running_loop().time()
