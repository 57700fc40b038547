"""Addresses into the lake: those of lists, and those that search engines name."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, zip_longest
from pathlib import Path
from typing import Literal

from fledged import progress
from fledged.collecting.download import Sent, download
from fledged.collecting.intake import Intake, origin_of
from fledged.collecting.journal import Journal, read_lines
from fledged.collecting.offers import Link, Refusal, Refused, refused
from fledged.collecting.search import PAUSE_S, image_urls
from fledged.collecting.sources import Search
from fledged.provenance import STATE_FOLDER

# A run that goes on after an interruption need not ask the engines again.
_REMEMBERED_FOR = timedelta(days=1)
# So many failures in a row, and an engine is left for the next run: it does not answer, or wants no programs.
MAX_FAILURES = 3


def take_links(intake: Intake, links: list[Link], searches: list[Search], report: progress.Report) -> None:
    """Fetch what is not settled yet; lists come before searches."""
    found = _search(intake, searches, report)
    by_url: dict[str, list[Link]] = {}
    seen: set[tuple[str, str]] = set()
    for link in chain(links, found):
        plain = replace(link, url=link.url.strip().partition("#")[0])
        if (plain.url, plain.label) not in seen:
            seen.add((plain.url, plain.label))
            if not _settled(intake, plain):
                by_url.setdefault(plain.url, []).append(plain)
    _Placing(intake, by_url).run(report)


def _settled(intake: Intake, link: Link) -> bool:
    if intake.tally.is_full(link.label):
        intake.tally.count(link.label, "unneeded")
        return True
    try:
        return intake.settled_before(link.url, link.url, link.label, link.split, origin_of(link))
    except Refusal as why:
        intake.tally.refuse(refused(link.url, link.label, why))
        return True


class _Placing:
    """Hands addresses to the downloader, as long as their classes need photos, and what comes back to the lake."""

    def __init__(self, intake: Intake, by_url: dict[str, list[Link]]) -> None:
        self._intake = intake
        self._by_url = by_url
        self._expected: dict[str, list[str]] = {}  # url -> labels whose limits count on it

    def run(self, report: progress.Report) -> None:
        if self._by_url:
            download(self._by_url, self._begin, self._settle, self._intake.config, report)

    def _begin(self, url: str) -> Literal["go", "wait", "drop"]:
        tally, links = self._intake.tally, self._by_url[url]
        open_labels = [link.label for link in links if not tally.is_full(link.label)]
        if not open_labels:
            for link in links:
                tally.count(link.label, "unneeded")
            return "drop"
        expecting = [label for label in open_labels if not tally.may_fill(label)]
        if not expecting:
            return "wait"
        self._expected[url] = expecting
        for label in expecting:
            tally.expect(label, 1)
        return "go"

    def _settle(self, url: str, outcome: Sent | Refusal) -> None:
        tally = self._intake.tally
        for label in self._expected.pop(url, ()):
            tally.expect(label, -1)
        if isinstance(outcome, Refusal):
            for link in self._by_url[url]:
                tally.refuse(refused(url, link.label, outcome))
            self._intake.remember_refusal(url, outcome)
            return
        placed = None
        for link in self._by_url[url]:
            if tally.is_full(link.label):
                tally.count(link.label, "unneeded")
                continue
            fetched = outcome.fetched
            placed = self._intake.take_link(link, fetched.data, outcome.suffix, fetched.content_type) or placed
        if placed:
            told = origin_of(self._by_url[url][0]).model_copy(update={"content_type": outcome.fetched.content_type})
            self._intake.remember(url, placed, told)


def _search(intake: Intake, searches: list[Search], report: progress.Report) -> Iterable[Link]:
    """The links of each class in turns: the first of each search, the second of each, and so on."""
    path = intake.store.lake / STATE_FOLDER / "searches.jsonl"
    remembered = {} if intake.retry_failed else _remembered(path)
    by_label: defaultdict[str, list[list[Link]]] = defaultdict(list)
    engines = _Engines()
    with Journal(path) as journal:
        for done, search in enumerate(searches, start=1):
            if intake.tally.is_full(search.label):
                continue
            try:
                urls = remembered.get((search.engine, search.query, search.limit))
                if urls is None:
                    urls = engines.ask(search)
                    journal.append(_line(search, urls))
                if not urls:
                    raise Refusal("the search found nothing", again=True)
                by_label[search.label].append(
                    [Link(url, search.label, query=search.query, engine=search.engine) for url in urls]
                )
            except Refusal as why:
                what = f"search of {search.engine}: {search.query}"
                intake.tally.refuse(Refused(what, None, why.reason, why.detail, why.again))
            report("Searching", done, len(searches))
    for lists in by_label.values():
        yield from (link for turn in zip_longest(*lists) for link in turn if link is not None)


class _Engines:
    """The search engines, each asked at its own pace, and as long as it answers."""

    def __init__(self) -> None:
        self._asked_s: dict[str, float] = {}
        self._failures: Counter[str] = Counter()  # in a row

    def ask(self, search: Search) -> list[str]:
        """The addresses that an engine names. Raises Refusal."""
        engine = search.engine
        if self._failures[engine] >= MAX_FAILURES:
            raise Refusal("its engine is left for this run", f"failed {MAX_FAILURES} times in a row", again=True)
        if engine in self._asked_s:
            time.sleep(max(0.0, self._asked_s[engine] + PAUSE_S - time.monotonic()))
        self._failures[engine] += 1
        try:
            urls = image_urls(engine, search.query, search.limit)
        finally:
            self._asked_s[engine] = time.monotonic()
        self._failures[engine] = 0
        return urls


def _line(search: Search, urls: list[str]) -> str:
    at = datetime.now(UTC).isoformat()
    return json.dumps({"engine": search.engine, "query": search.query, "limit": search.limit, "urls": urls, "at": at})


def _remembered(path: Path) -> dict[tuple[object, object, object], list[str]]:
    newest: dict[tuple[object, object, object], list[str]] = {}
    for line in read_lines(path):
        try:
            fresh = datetime.now(UTC) - datetime.fromisoformat(str(line["at"])) < _REMEMBERED_FOR
            if fresh and isinstance(line["urls"], list) and line["urls"]:
                newest[line["engine"], line["query"], line["limit"]] = [str(url) for url in line["urls"]]
        except (KeyError, ValueError, TypeError):
            continue
    return newest
