"""One address to its bytes, however the server behaves."""

from __future__ import annotations

import asyncio
import tracemalloc
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from fledged.collecting.fetch import Client, Fetched, _retry_after_s, parse
from fledged.collecting.offers import Refusal
from fledged.settings.lake import CollectConfig
from tests.collecting import servers
from tests.collecting.photos import photo
from tests.collecting.servers import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def fetch(url: str, **settings: object) -> Fetched:
    config = CollectConfig.model_validate({"allow_private": True, "timeout_s": 5, "max_megabytes": 1} | settings)

    async def ask() -> Fetched:
        async with Client(config) as client:
            return await client.fetch(url)

    return asyncio.run(ask())


def refusal(url: str, **settings: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        fetch(url, **settings)
    return caught.value


def test_a_photo_comes_whole_with_what_the_server_said(server: Server) -> None:
    server.answers["/a"] = servers.send(photo(1), "image/jpeg; charset=binary")
    assert fetch(server.url("/a")) == Fetched(photo(1), "image/jpeg; charset=binary", True)


def test_slow_is_fine_within_the_time_and_refused_beyond_it(server: Server) -> None:
    data = photo(1)
    server.answers["/slow"] = servers.slow(data, len(data) // 4, 0.02)
    server.answers["/stalled"] = servers.slow(data, 10, 0.2)
    assert fetch(server.url("/slow")).data == data
    late = refusal(server.url("/stalled"), timeout_s=0.5)
    assert (late.reason, late.again) == ("too slow", True)


@pytest.mark.parametrize(
    ("code", "again"), [(404, False), (410, False), (403, False), (204, False), (429, True), (500, True), (503, True)]
)
def test_errors_pass_or_do_not(server: Server, code: int, again: bool) -> None:
    server.answers["/a"] = servers.status(code, Retry_After="7")
    why = refusal(server.url("/a"))
    assert (why.reason, why.again, why.after_s) == (f"HTTP {code}", again, 7)


def test_what_is_cut_off_is_noticed_where_its_length_was_told(server: Server) -> None:
    server.answers["/told"] = servers.cut_off(photo(1), told=True)
    server.answers["/untold"] = servers.cut_off(photo(1), told=False)
    why = refusal(server.url("/told"))
    assert (why.reason, why.again) == ("damaged on the way", True)
    assert not fetch(server.url("/untold")).is_whole


@pytest.mark.parametrize(
    "answer",
    [
        servers.send(bytes(2**21)),
        servers.endless,
        servers.bomb(2**26),
        servers.send(zlib.compress(bytes(2**26)), **{"Content-Encoding": "deflate"}),
    ],
    ids=["told", "endless", "gzip bomb", "deflate bomb"],
)
def test_too_large_is_refused_whatever_the_server_says(server: Server, answer: servers.Answer) -> None:
    server.answers["/a"] = answer
    why = refusal(server.url("/a"))
    assert (why.reason, why.again, why.by_setting) == ("too large", False, True)


def test_a_bomb_is_unpacked_in_small_steps(server: Server) -> None:
    server.answers["/a"] = servers.bomb(2**26)
    tracemalloc.start()
    try:
        assert refusal(server.url("/a")).reason == "too large"
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_a_photo_that_was_compressed_on_the_way_is_unpacked(server: Server) -> None:
    server.answers["/a"] = servers.bomb(100)
    assert fetch(server.url("/a")).data == photo(1) + bytes(100)
    server.answers["/br"] = servers.send(b"x", **{"Content-Encoding": "br"})
    assert refusal(server.url("/br")).reason == "compressed in a way that is not known"
    server.answers["/half"] = servers.send(zlib.compress(photo(1))[:-9], **{"Content-Encoding": "deflate"})
    assert refusal(server.url("/half")).reason == "damaged on the way"


def test_redirects_are_followed_so_far_and_no_further(server: Server) -> None:
    server.answers |= {
        "/a": servers.moved("b"),
        "/b": servers.moved(server.url("/c"), 308),
        "/c": servers.send(photo(1)),
    }
    assert fetch(server.url("/a")).data == photo(1)
    assert refusal(server.url("/a"), max_redirects=1).reason == "too many redirects"
    server.answers["/loop"] = servers.moved("/loop")
    assert refusal(server.url("/loop")).reason == "too many redirects"
    assert server.asked["/loop"] == 6
    server.answers["/nowhere"] = servers.moved("")
    assert refusal(server.url("/nowhere")).reason == "a redirect to nowhere"


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://example.org/a", "http://user:word@example.org/"])
def test_redirects_lead_to_the_web_only(server: Server, to: str) -> None:
    server.answers["/a"] = servers.moved(to)
    assert refusal(server.url("/a")).reason == "not an address"


def test_private_addresses_are_not_asked(server: Server) -> None:
    server.answers["/a"] = servers.send(photo(1))
    for host in ("127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"):
        why = refusal(f"http://{host}:{server.server_address[1]}/a", allow_private=False)
        assert why.reason == "a private address", host
    assert not server.asked


def test_a_redirect_to_a_private_address_is_not_followed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the first server were a public one: every hop is judged by its own address.
    from fledged.collecting import addresses

    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    server.answers["/a"] = servers.moved(f"http://127.0.0.2:{server.server_address[1]}/secret")
    server.answers["/secret"] = servers.send(photo(1))
    assert refusal(server.url("/a"), allow_private=False).reason == "a private address"
    assert not server.asked["/secret"]


def test_a_server_that_is_not_there_may_be_there_next_time(server: Server) -> None:
    with serving() as gone:
        url = gone.url("/a")
    why = refusal(url)
    assert (why.reason, why.again) == ("its server cannot be reached", True)
    assert refusal("http://nowhere.invalid/a").reason == "its server cannot be found"


def test_robots_are_respected_on_every_hop(server: Server) -> None:
    server.answers["/robots.txt"] = servers.send(b"User-agent: *\nDisallow: /private/*.jpg$\n", "text/plain")
    server.answers |= {"/private/a.jpg": servers.send(photo(1)), "/a": servers.moved("/private/a.jpg")}
    for path in ("/private/a.jpg", "/a"):
        why = refusal(server.url(path))
        assert (why.reason, why.by_setting) == ("robots.txt forbids it", True)
    assert not server.asked["/private/a.jpg"]
    assert fetch(server.url("/a"), respect_robots=False).data == photo(1)


def test_while_robots_cannot_be_read_nothing_is_asked(server: Server) -> None:
    server.answers |= {"/robots.txt": servers.status(503), "/a": servers.send(photo(1))}
    why = refusal(server.url("/a"))
    assert (why.reason, why.again) == ("robots.txt cannot be read", True)
    assert not server.asked["/a"]
    server.answers["/robots.txt"] = servers.status(403)
    assert fetch(server.url("/a")).data == photo(1)


def test_of_a_robots_file_without_end_the_beginning_counts(server: Server) -> None:
    long = b"User-agent: *\nDisallow: /private/\n" + b"# and so on\n" * 100_000 + b"Disallow: /\n"
    server.answers |= {"/robots.txt": servers.send(long), "/a": servers.send(photo(1)), "/private/a": servers.send(b"")}
    assert fetch(server.url("/a")).data == photo(1)
    assert refusal(server.url("/private/a")).reason == "robots.txt forbids it"


@pytest.mark.parametrize(
    "answer",
    [servers.moved("ftp://example.org/"), servers.send(b"", **{"Content-Encoding": "br"}), servers.moved("")],
)
def test_a_robots_file_that_makes_no_sense_is_no_verdict_on_the_photo(server: Server, answer: servers.Answer) -> None:
    server.answers |= {"/robots.txt": answer, "/a": servers.send(photo(1))}
    why = refusal(server.url("/a"))
    assert (why.reason, why.again) == ("robots.txt cannot be read", True)


def test_robots_are_read_once_and_their_pauses_kept(server: Server) -> None:
    server.answers |= {
        "/robots.txt": servers.send(b"User-agent: fledged\nCrawl-delay: 0.2\n"),
        "/a": servers.send(b"x"),
    }

    async def ask() -> None:
        async with Client(CollectConfig(allow_private=True)) as client:
            await asyncio.gather(*(client.fetch(server.url("/a")) for _ in range(3)))

    asyncio.run(ask())
    assert server.asked["/robots.txt"] == 1
    times = [at for path, at in server.times if path == "/a"]
    assert times[2] - times[0] > 0.35


@pytest.mark.parametrize(
    "address", ["", "owl.jpg", "//example.org/a", "ftp://example.org/a", "http:///a", "http://[::1", "data:,x"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Refusal, match="not an address"):
        parse(address)


def test_retry_after_is_seconds_or_a_date() -> None:
    assert _retry_after_s("12") == 12
    soon = _retry_after_s(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert soon is not None
    assert 55 < soon <= 60
    assert [_retry_after_s(text) for text in ("soon", "²", "-1", "Wed, 21 Oct 99999 07:28:00 GMT")] == [None] * 4
