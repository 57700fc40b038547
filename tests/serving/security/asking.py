"""Requests that no well-behaved client would send."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import httpx

from tests.serving.photos import jpeg


def told(url: str, data: bytes) -> bytes:
    """All that comes back on a connection of its own until the server closes it, or is silent for a while."""
    parts = urlsplit(url)
    assert parts.hostname
    found = b""
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=6) as connection:
        try:
            connection.sendall(data)
            while chunk := connection.recv(65536):
                found += chunk
        except (TimeoutError, ConnectionError):
            pass
    return found


def statuses(answer: bytes) -> list[int]:
    """The status of each answer in it."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def check_alive(url: str) -> None:
    """That a photo is answered, after whatever came before."""
    answer = httpx.post(f"{url}/classify", content=jpeg("green"), timeout=30)
    assert answer.json()["label"] == "green", answer.text
