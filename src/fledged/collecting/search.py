"""Addresses of photos that search engines name, through icrawler and ddgs.

Only these libraries' knowledge of the engines is used: which page to ask for, and where in it the photos are. The
photos themselves are fetched by our own client, with its limits.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

import requests

from fledged.collecting.offers import Refusal
from fledged.collecting.plan import Engine

PAUSE_S = 1.0  # between two questions to one engine
_TIMEOUT_S = 15
# icrawler's parsers expect the pages that browsers get.
_HEADERS = {
    "Accept-Language": "en-US,en;q=0.8",
    "User-Agent": "Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
}
_DDGS_BACKENDS = {"duckduckgo": "duckduckgo", "ddgs-bing": "bing"}


def image_urls(engine: Engine, query: str, limit: int, session: requests.Session | None = None) -> list[str]:
    """Up to `limit` addresses, best first, none twice. Raises Refusal if the engine does not answer as it should."""
    found: dict[str, None] = {}
    try:
        pages = _ddgs_pages(engine, query) if engine in _DDGS_BACKENDS else _pages(engine, query, limit, session)
        for page in pages:
            before = len(found)
            found.update(dict.fromkeys(url for url in page if url))
            if len(found) >= limit or len(found) == before:
                break
            time.sleep(PAUSE_S)
    except Refusal:
        raise
    except Exception as error:  # the parsers of pages that changed raise anything
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise Refusal("the search failed", words, again=True) from error
    return list(found)[:limit]


def _pages(engine: Engine, query: str, limit: int, session: requests.Session | None) -> Iterator[list[str]]:
    """A list of addresses a result page, by icrawler's feeder (where the pages are) and parser (what is in them)."""
    from icrawler.utils import Signal

    feeder_kind, parser_kind, quoted = _icrawler(engine)
    with session or requests.Session() as client:
        feeder = feeder_kind(1, Signal(), client)
        feeder.out_queue = queue.Queue()  # its own holds five and would block
        feeder.feed(keyword=quote_plus(query) if quoted else query, offset=0, max_num=limit)
        parser = parser_kind(1, Signal(), client)
        while not feeder.out_queue.empty():
            page = client.get(feeder.out_queue.get(), timeout=_TIMEOUT_S, headers=_HEADERS)
            if page.status_code != 200:
                raise Refusal("the search failed", f"HTTP {page.status_code}", again=True)
            yield [task["file_url"] for task in parser.parse(page) or ()]


def _icrawler(engine: Engine) -> tuple[Any, Any, bool]:
    """Feeder, parser, and whether the feeder wants its query quoted."""
    from icrawler.builtin import baidu, bing, google

    match engine:
        case "bing":
            return bing.BingFeeder, bing.BingParser, True
        case "baidu":
            return baidu.BaiduFeeder, baidu.BaiduParser, True
        case "google":
            return google.GoogleFeeder, google.GoogleParser, False
    raise ValueError(engine)


def _ddgs_pages(engine: Engine, query: str) -> Iterator[list[str]]:
    from ddgs import DDGS
    from ddgs.exceptions import DDGSException

    with DDGS(timeout=_TIMEOUT_S) as client:
        for number in range(1, 21):
            try:
                hits = client.images(query, backend=_DDGS_BACKENDS[engine], page=number, max_results=None)
            except DDGSException as error:
                if number > 1 or "No results" in str(error):
                    return
                raise
            yield [str(hit.get("image") or "") for hit in hits]
