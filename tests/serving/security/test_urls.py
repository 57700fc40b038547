"""Addresses that a client names: nothing of the server's own network is ever reached, by any spelling or detour."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fledged.errors import RequestError
from fledged.predicting.predictor import Predictor
from fledged.serving import fetching
from fledged.serving.fetching import fetch_photo
from fledged.settings.serving import ByUrlConfig
from tests.serving.conftest import serving
from tests.serving.photos import jpeg

GROUP = "Photos by address"
MB = 2**20


class Site(http.server.BaseHTTPRequestHandler):
    """A server of photos, of redirects and of troubles."""

    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.close_connection = True
        name, _, rest = self.path.removeprefix("/").partition("?")
        getattr(self, name, self.photo)(rest)

    def photo(self, rest: str) -> None:
        self._send(200, jpeg("blue"))

    def missing(self, rest: str) -> None:
        self._send(404, b"secret words of the other server")

    def to(self, rest: str) -> None:
        self.send_response(302)
        self.send_header("Location", rest)
        self.end_headers()

    def loop(self, rest: str) -> None:
        self.to("/loop")

    def much(self, rest: str) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(8):
            self.wfile.write(b"\xff" * MB)

    def half(self, rest: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(jpeg("blue"))

    def drip(self, rest: str) -> None:
        for _ in range(100):
            self.wfile.write(b"H")
            time.sleep(0.05)

    def drip_body(self, rest: str) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"\xff")
            time.sleep(0.05)

    def junk(self, rest: str) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.7\r\n")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """No log."""


class Quiet(http.server.ThreadingHTTPServer):
    """Without words about clients that went away."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """No words."""


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    """The port of such a server."""
    with Quiet(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def only_loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "is_public", lambda address: address == "127.0.0.1")


def asked(url: str, address: str) -> httpx.Response:
    return httpx.post(f"{url}/classify/url", json={"url": address}, timeout=60)


# {p}: the port of a server on this machine, which must not be asked. Where a spelling is no name, that is 404.
CASES = {
    "U01 127.0.0.1": "http://127.0.0.1:{p}/",
    "U02 localhost": "http://localhost:{p}/",
    "U03 LOCALHOST with a dot": "http://LOCALHOST.:{p}/",
    "U04 127.1": "http://127.1:{p}/",
    "U05 a number, 2130706433": "http://2130706433:{p}/",
    "U06 hexadecimal": "http://0x7f000001:{p}/",
    "U07 hexadecimal with dots": "http://0x7f.0.0.1:{p}/",
    "U08 octal": "http://0177.0.0.1:{p}/",
    "U09 0.0.0.0": "http://0.0.0.0:{p}/",
    "U10 another of 127/8": "http://127.9.8.7:{p}/",
    "U11 ::1": "http://[::1]:{p}/",
    "U12 ::": "http://[::]:{p}/",
    "U13 IPv4 in IPv6": "http://[::ffff:127.0.0.1]:{p}/",
    "U14 IPv4 in IPv6, hexadecimal": "http://[::ffff:7f00:1]:{p}/",
    "U15 IPv4 at the end of zeroes": "http://[::127.0.0.1]:{p}/",
    "U16 6to4 of 127.0.0.1": "http://[2002:7f00:1::]:{p}/",
    "U17 NAT64 of 169.254.169.254": "http://[64:ff9b::a9fe:a9fe]/",
    "U18 local NAT64": "http://[64:ff9b:1::a9fe:a9fe]/",
    "U19 Teredo": "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "U20 ISATAP of 127.0.0.1": "http://[2600::5efe:7f00:1]/",
    "U21 the metadata service": "http://169.254.169.254/latest/meta-data/",
    "U22 the metadata service, IPv6": "http://[fd00:ec2::254]/",
    "U23 the metadata service of another cloud": "http://168.63.129.16/",
    "U24 10.0.0.1": "http://10.0.0.1/",
    "U25 172.16.0.1": "http://172.16.0.1/",
    "U26 192.168.0.1": "http://192.168.0.1/",
    "U27 100.64.0.1 (carriers' NAT)": "http://100.64.0.1/",
    "U28 multicast": "http://224.0.0.1/",
    "U29 broadcast": "http://255.255.255.255/",
    "U30 link-local IPv6": "http://[fe80::1]/",
    "U31 link-local IPv6 with a zone": "http://[fe80::1%25lo]/",
    "U32 full-width digits": "http://\uff11\uff12\uff17.0.0.1:{p}/",
    "U33 a password before the host": "http://example.org@127.0.0.1:{p}/",
    "U34 a backslash before the host": "http://example.org\\@127.0.0.1:{p}/",
    "U35 file://": "file:///etc/passwd",
    "U36 gopher://": "gopher://127.0.0.1:{p}/_GET",
    "U37 ftp://": "ftp://127.0.0.1:{p}/",
    "U38 data:": "data:image/png;base64,iVBORw0KGgo=",
    "U39 a path alone": "/etc/passwd",
    "U40 no host": "http:///photo.jpg",
    "U41 a line break in the host": "http://127.0.0.1\r\nX: y:{p}/",
    "U42 a line break in the path": "http://127.0.0.1:{p}/\r\nX: y",
    "U43 a port of mail": "http://93.184.216.34:25/",
    "U44 a port of SSH": "http://93.184.216.34:22/",
    "U45 a port that is none": "http://93.184.216.34:99999/",
    "U46 10,000 letters": "http://example.org/" + "a" * 10_000,
}


@pytest.mark.parametrize("case", CASES)
def test_urls(safe_url: str, site: int, case: str) -> None:
    Site.asked.clear()
    answer = asked(safe_url, CASES[case].replace("{p}", str(site)))
    assert answer.status_code in (400, 403, 404), answer.text
    assert set(answer.json()) == {"error", "remedy"}
    assert not Site.asked


# Where a public server leads to, or what it does; the words of the answer.
DETOURS = {
    "U50 a redirect to another address of this machine": ("/to?http://127.0.0.2:{p}/", "open internet"),
    "U51 a redirect to the metadata service": ("/to?http://169.254.169.254/", "open internet"),
    "U52 a redirect to a file": ("/to?file:///etc/passwd", "not the address"),
    "U53 redirects without an end": ("/loop", "redirects more than 2 times"),
    "U54 a redirect to nowhere": ("/to?http://", "redirects more than"),
    "U55 more than the limit, without saying so": ("/much", "larger than the limit"),
    "U56 half a photo": ("/half", "cannot be reached"),
    "U57 a header that comes letter by letter": ("/drip", "within 1 s"),
    "U58 a photo that comes byte by byte": ("/drip_body", "within 1 s"),
    "U59 a server that does not speak HTTP": ("/junk", "cannot be reached"),
    "U60 words of the other server are not passed on": ("/missing", "status 404"),
}


@pytest.mark.usefixtures("only_loopback_is_public")
@pytest.mark.parametrize("case", DETOURS)
def test_detours(site: int, case: str) -> None:
    path, words = DETOURS[case]
    config = ByUrlConfig(enabled=True, timeout_s=1, max_redirects=2)
    start_s = time.monotonic()
    with pytest.raises(RequestError, match=words) as told:
        fetch_photo(f"http://127.0.0.1:{site}{path.replace('{p}', str(site))}", config, 4 * MB)
    assert time.monotonic() - start_s < 4
    assert 400 <= told.value.status < 500
    assert "secret" not in str(told.value)


@pytest.mark.usefixtures("only_loopback_is_public")
def test_a_photo_is_fetched_and_a_redirect_to_another_one_followed(site: int) -> None:
    config = ByUrlConfig(enabled=True)
    for path in ("/photo", "/to?/photo", f"/to?http://127.0.0.1:{site}/photo"):
        assert fetch_photo(f"http://127.0.0.1:{site}{path}", config, MB) == jpeg("blue")


def test_a_name_is_looked_up_once_and_that_very_address_is_asked(
    site: int, monkeypatch: pytest.MonkeyPatch, only_loopback_is_public: None
) -> None:
    """U70 a name that answers otherwise the second time (DNS rebinding)"""
    looked_up: list[str] = []

    def getaddrinfo(host: Any, port: Any, *_: Any, **__: Any) -> list[tuple[object, ...]]:
        looked_up.append(host)
        address = "127.0.0.1" if looked_up.count("photos.example") == 1 else "169.254.169.254"
        if host == "127.0.0.1":
            address = host  # create_connection asks for the numbers that it is given
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert fetch_photo(f"http://photos.example:{site}/photo", ByUrlConfig(enabled=True), MB) == jpeg("blue")
    assert looked_up.count("photos.example") == 1


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """U71 a name with a public and a private address"""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 80)) for each in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(RequestError, match="open internet"):
        fetch_photo("http://photos.example/", ByUrlConfig(enabled=True), MB)


@pytest.mark.usefixtures("only_loopback_is_public")
def test_https_that_is_none_is_not_asked_in_clear(site: int) -> None:
    """U72 https:// of a server that speaks no TLS"""
    Site.asked.clear()
    with pytest.raises(RequestError, match="cannot be reached"):
        fetch_photo(f"https://127.0.0.1:{site}/photo", ByUrlConfig(enabled=True), MB)
    assert not Site.asked


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    """U73 a certificate is checked, and so is its name"""
    context = ssl.create_default_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_it_is_off_by_default(url: str, site: int) -> None:
    """U74 off by default"""
    Site.asked.clear()
    assert asked(url, f"http://127.0.0.1:{site}/photo").status_code == 404
    assert not Site.asked


def test_a_private_network_is_fetched_from_where_that_is_allowed(safe_predictor: Predictor, site: int) -> None:
    by_url = {"enabled": True, "allow_private": True}
    with serving(safe_predictor, by_url=by_url) as url:
        answer = asked(url, f"http://127.0.0.1:{site}/photo")
    assert (answer.status_code, answer.json()["label"]) == (200, "blue")


@pytest.mark.parametrize("body", [b"", b"words", b"[]", b"{}", b'{"url": 1}', b'{"url": ""}', b"[" * 10_000, b"\xff"])
def test_a_body_that_names_no_address(safe_url: str, body: bytes) -> None:
    answer = httpx.post(f"{safe_url}/classify/url", content=body)
    assert answer.status_code == 400
    assert "https://example.org/photo.jpg" in answer.json()["remedy"]
