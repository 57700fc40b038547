"""Which addresses are public, and that the one that was judged is the one that is asked."""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import httpcore
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.addresses import is_public
from fledged.collecting.addresses import CheckedTransport
from tests.collecting import servers
from tests.collecting.photos import photo

PRIVATE = """127.0.0.1 127.8.9.1 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200
224.0.0.1 255.255.255.255 168.63.129.16 192.0.0.192 198.18.0.1 ::1 :: fe80::1 fe80::1%eth0 fd00:ec2::254 ff02::1
::ffff:127.0.0.1 ::ffff:a9fe:a9fe 64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1 64:ff9b:1::7f00:1 fec0::1 feff::1 ::127.0.0.1
2002:7f00:1:: 2002:a9fe:a9fe::1 words"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_what_is_not_of_the_open_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"]
)
def test_what_is(address: str) -> None:
    assert is_public(address)


@settings(deadline=None, max_examples=60)
@given(st.ip_addresses(v=4))
def test_no_private_address_hides_in_a_longer_one(address: ipaddress.IPv4Address) -> None:
    hidden = [
        f"::ffff:{address}",
        f"64:ff9b::{address}",
        str(ipaddress.IPv6Address(0x2002 << 112 | int(address) << 80)),
    ]
    assert {is_public(spelling) for spelling in hidden} == {is_public(str(address))}


def test_a_name_is_looked_up_once_and_that_answer_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    original = socket.getaddrinfo
    asked: list[str] = []

    def rebinding(host: str, *rest: object, **named: object) -> object:
        """Public when it is judged, and something else when it is asked again."""
        asked.append(host)
        return original("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *rest, **named)  # type: ignore[arg-type]

    async def ask(url: str) -> bytes:
        async with httpx.AsyncClient(transport=CheckedTransport(allow_private=True, max_connections=1)) as client:
            return (await client.get(url)).content

    with servers.serving() as server:
        server.answers["/a"] = servers.send(photo(1))
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        assert asyncio.run(ask(f"http://photos.example:{server.server_address[1]}/a")) == photo(1)
    assert asked == ["photos.example"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of `photos.example`, which vouches for itself."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("there is no openssl")
    path = tmp_path_factory.mktemp("tls") / "photos.pem"
    words = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=photos.example -addext subjectAltName=DNS:photos.example"
    )
    command = [openssl, *words.split(), "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.mark.parametrize(("host", "answered"), [("photos.example", True), ("other.example", False)])
def test_https_is_checked_against_the_name_and_not_the_address(
    certificate: Path, host: str, answered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **named: original("127.0.0.1", *rest, **named))
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate)
    transport = CheckedTransport(
        allow_private=True, max_connections=1, ssl_context=ssl.create_default_context(cafile=f"{certificate}.crt")
    )

    async def ask(url: str) -> bytes:
        async with httpx.AsyncClient(transport=transport) as client:
            return (await client.get(url)).content

    with servers.serving() as server:
        server.answers["/a"] = servers.send(photo(1))
        server.socket = theirs.wrap_socket(server.socket, server_side=True)
        url = f"https://{host}:{server.server_address[1]}/a"
        if answered:
            assert asyncio.run(ask(url)) == photo(1)
        else:
            with pytest.raises(httpcore.ConnectError, match="certificate"):
                asyncio.run(ask(url))
