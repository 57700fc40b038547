"""Search engines, as icrawler and ddgs know them, answered by a local server and by drawn pages.

The engines themselves cannot be reached from a test; these show that queries reach the libraries, that what their own
parsers find comes back, and what happens when an engine does not answer.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

from fledged.collecting import search
from fledged.collecting.offers import Refusal
from fledged.collecting.plan import Engine
from fledged.collecting.search import image_urls
from tests.collecting import servers
from tests.collecting.servers import Handler, Server, serving


class ToLocal(HTTPAdapter):
    """Sends what is meant for an engine to a local server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: object, **named: object) -> requests.Response:
        parts = urlsplit(str(request.url))
        request.url = self._server.url(f"{parts.path}?{parts.query}")
        return super().send(request, *args, **named)  # type: ignore[arg-type]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(search, "PAUSE_S", 0.0)
    with serving() as running:
        yield running


def session(server: Server) -> requests.Session:
    client = requests.Session()
    client.trust_env = False
    for scheme in ("http://", "https://"):
        client.mount(scheme, ToLocal(server))
    return client


def bing(urls: list[str]) -> str:
    metas = [html.escape(json.dumps({"murl": url}, separators=(",", ":"))) for url in urls]
    return "".join(f'<div class="imgpt"><a m="{meta}"></a></div>' for meta in metas)


def baidu(urls: list[str]) -> str:
    return json.dumps({"data": [*({"hoverURL": url} for url in urls), {}]})


def google(urls: list[str]) -> str:
    return f"<script>{''.join(f'[0,{json.dumps(url)},1]' for url in urls)}</script>"


@pytest.mark.parametrize(
    ("engine", "path", "page", "asks", "starts"),
    [
        ("bing", "/images/async", bing, "q", "first"),
        ("baidu", "/search/acjson", baidu, "word", "pn"),
        ("google", "/search", google, "q", "start"),
    ],
)
def test_the_pages_of_an_engine_are_read_until_there_are_enough(
    server: Server, engine: Engine, path: str, page: object, asks: str, starts: str
) -> None:
    asked: list[dict[str, list[str]]] = []

    def answer(handler: Handler) -> None:
        asked.append(parse_qs(urlsplit(handler.path).query))
        start = int(asked[-1][starts][0])
        urls = [f"https://photos.example/{start + n}.jpg" for n in range(30)]
        servers.send(page(urls).encode(), "text/html")(handler)  # type: ignore[operator]

    server.answers[path] = answer
    found = image_urls(engine, "owl & сова", 150, session(server))
    assert found[:2] == ["https://photos.example/0.jpg", "https://photos.example/1.jpg"]
    assert len(found) == len(set(found)) > 30
    assert {query[asks][0] for query in asked} == {"owl & сова"}
    assert len({query[starts][0] for query in asked}) == len(asked) > 1


def test_an_engine_that_repeats_itself_is_asked_no_more(server: Server) -> None:
    server.answers["/images/async"] = servers.send(bing(["https://a.example/1.jpg"]).encode())
    assert image_urls("bing", "owl", 1000, session(server)) == ["https://a.example/1.jpg"]
    assert server.asked["/images/async"] == 2


def test_no_hit_is_no_error(server: Server) -> None:
    server.answers["/images/async"] = servers.send(b"<html>nothing</html>")
    assert image_urls("bing", "owl", 10, session(server)) == []


@pytest.mark.parametrize("answer", [servers.status(429), servers.cut_off(b"x" * 100, told=True)])
def test_an_engine_that_refuses_may_answer_another_time(server: Server, answer: servers.Answer) -> None:
    server.answers["/images/async"] = answer
    with pytest.raises(Refusal, match="the search failed") as why:
        image_urls("bing", "owl", 10, session(server))
    assert why.value.again


class _Answer:
    def __init__(self, text: str) -> None:
        self.status_code, self.text, self.content = 200, text, text.encode()


def test_ddgs_reads_what_its_own_parsers_find(monkeypatch: pytest.MonkeyPatch) -> None:
    from ddgs.http_client import HttpClient

    monkeypatch.setattr(search, "PAUSE_S", 0.0)
    pages = [
        [
            {"image": f"https://a.example/{page}-{n}.png", "title": "owl", "url": f"https://a.example/{page}{n}"}
            for n in range(3)
        ]
        for page in range(2)
    ]
    asked: list[dict[str, str]] = []

    def answer(_: object, method: str, url: str, params: dict[str, str]) -> _Answer:
        if not url.endswith("i.js"):
            return _Answer('<script>vqd="4-123"</script>')
        asked.append(params)
        return _Answer(json.dumps({"results": pages[min(len(asked), 2) - 1]}))

    monkeypatch.setattr(HttpClient, "request", answer)
    found = image_urls("duckduckgo", "barn owl", 100)
    assert sorted(found) == sorted(hit["image"] for page in pages for hit in page)
    assert {query["q"] for query in asked} == {"barn owl"}
    assert len(asked) == 3  # the third brought nothing new


def test_a_ddgs_that_fails_may_answer_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from ddgs.exceptions import DDGSException
    from ddgs.http_client import HttpClient

    def fail(*_: object, **__: object) -> None:
        raise DDGSException("connection refused")

    monkeypatch.setattr(HttpClient, "request", fail)
    with pytest.raises(Refusal, match=r"the search failed.*connection refused"):
        image_urls("ddgs-bing", "owl", 10)
