"""Clients that ask a server all the time, and what they were told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from tests.serving.photos import jpeg


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for it."""
    until_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until_s, "it did not come to hold"
        time.sleep(0.02)


@contextmanager
def asking(url: str, n_clients: int = 4, photo: bytes = b"") -> Iterator[list[tuple[int, str]]]:
    """Clients that ask without a pause for as long as the block lasts; status and bundle of each answer."""
    answers: list[tuple[int, str]] = []
    is_over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not is_over.is_set():
                try:
                    answer = client.post("/classify", content=photo or jpeg())
                    answers.append((answer.status_code, answer.json().get("bundle_id", "")))
                except httpx.HTTPError as error:
                    answers.append((0, repr(error)))

    threads = [threading.Thread(target=ask) for _ in range(n_clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
