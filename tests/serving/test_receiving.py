"""Clients that send slowly, or nothing, lose their connection; those that send at their pace do not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from fledged import images
from fledged.engine import n_workers
from fledged.images import UInt8Array
from fledged.predicting.predictor import Predictor
from fledged.products import Preprocess
from fledged.serving.app import AT_THE_DECODERS
from tests.serving.asking import until
from tests.serving.conftest import serving
from tests.serving.photos import jpeg

LIMIT_S = 0.6


@pytest.fixture(scope="module")
def address(predictor: Predictor) -> Iterator[tuple[str, int]]:
    with serving(predictor, receive_timeout_s=LIMIT_S) as url:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        yield parts.hostname, parts.port


def until_closed(connection: socket.socket, pieces: list[bytes], pause_s: float = 0.0) -> tuple[bytes, float]:
    """What came back until the server closed the connection, and after how many seconds."""
    start_s = time.monotonic()
    connection.settimeout(10)
    for piece in pieces:
        try:
            connection.sendall(piece)
        except OSError:
            break
        time.sleep(pause_s)
    told = b""
    try:
        while chunk := connection.recv(4096):
            told += chunk
    except ConnectionResetError:
        pass
    return told, time.monotonic() - start_s


HEAD = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"


@pytest.mark.parametrize(
    ("pieces", "pause_s"),
    [
        ([], 0.0),
        ([HEAD], 0.0),
        ([HEAD[i : i + 1] for i in range(40)], 0.05),
        ([HEAD + b"\r\n" + b"half"], 0.0),
        ([HEAD + b"\r\n", *[b"x"] * 40], 0.05),
    ],
    ids=["nothing", "half a header", "a header byte by byte", "half a body", "a body byte by byte"],
)
def test_who_does_not_send_a_whole_request_in_time_is_let_go(
    address: tuple[str, int], pieces: list[bytes], pause_s: float
) -> None:
    with socket.create_connection(address) as connection:
        told, seconds = until_closed(connection, pieces, pause_s)
    assert LIMIT_S * 0.8 < seconds < 5
    assert told.startswith(b"HTTP/1.1 408 ") or not told
    assert b"remedy" in told or not told


def test_a_second_request_on_a_connection_is_timed_as_well(address: tuple[str, int]) -> None:
    def asked() -> bytes:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        told = b""
        while not told.endswith(b'"alive"}'):  # head and body may come one by one
            told += connection.recv(4096)
        return told

    with socket.create_connection(address, timeout=10) as connection:
        assert b"200 OK" in asked()
        time.sleep(2 * LIMIT_S)  # between requests a connection may rest
        assert b"200 OK" in asked()
        _, seconds = until_closed(connection, [HEAD])
    assert LIMIT_S * 0.8 < seconds < 5


def test_who_hangs_up_while_it_waits_is_not_worked_for(predictor: Predictor) -> None:
    gate, asked = threading.Event(), []

    def decode(photo: bytes, how: Preprocess) -> UInt8Array:
        asked.append(photo)
        gate.wait(20)
        return images.model_input(photo, how)

    slow = Predictor(predictor.bundle, predictor._session, decode)
    with serving(slow) as url:
        parts = urlsplit(url)
        body = jpeg("red")
        head = HEAD.replace(b"1000", str(len(body)).encode()) + b"\r\n"
        n_at_once = n_workers(0) + AT_THE_DECODERS
        waiting = [socket.create_connection((str(parts.hostname), int(parts.port or 0))) for _ in range(n_at_once + 20)]
        for connection in waiting:
            connection.sendall(head + body)
        with httpx.Client(base_url=url, timeout=30) as client:
            until(lambda: "fledged_waiting 20" in client.get("/metrics").text)
            for connection in waiting:
                connection.close()
            client.get("/livez")  # by now the server has seen all of them close
            gate.set()
            assert client.post("/classify", content=body).json()["label"] == "red"
    assert len(asked) == n_at_once + 1


def test_whole_requests_are_answered_meanwhile(address: tuple[str, int]) -> None:
    slow = [socket.create_connection(address) for _ in range(20)]
    for connection in slow:
        connection.sendall(HEAD)
    try:
        with httpx.Client(base_url=f"http://{address[0]}:{address[1]}", timeout=30) as client:
            for _ in range(5):
                assert client.post("/classify", content=jpeg("red")).json()["label"] == "red"
                time.sleep(LIMIT_S / 3)
    finally:
        for connection in slow:
            connection.close()
