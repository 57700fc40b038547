"""Ask a deployed model, and see how long it takes: the first request, which may start it, and those after."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

from fledged.errors import RequestError, shown
from fledged.records import Record
from fledged.serving.client import Client


class Invocation(Record):
    """What an address answered to one photo, asked again and again over one connection."""

    address: str
    answer: dict[str, Any]  # JSON of the last answer
    first_ms: float  # with the time to connect, and to start where nothing ran yet
    later_ms: tuple[float, ...]

    def lines(self) -> list[str]:
        """For the terminal."""
        names = [f"{shown(str(entry['label']))} {entry['score']:.1%}" for entry in self.answer.get("top_k", [])]
        said = ", ".join(names) if self.answer.get("accepted", True) else f"unknown, its likeliest: {', '.join(names)}"
        inside_ms = 1000 * self.answer.get("seconds", 0.0)
        told = [
            f"{said}   (bundle {shown(str(self.answer.get('bundle_id', 'unnamed')))})",
            f"First answer after {self.first_ms:,.0f} ms",
        ]
        if self.later_ms:
            told.append(
                f"Later ones: median {median(self.later_ms):,.0f} ms, slowest {max(self.later_ms):,.0f} ms of "
                f"{len(self.later_ms)}; the last took {inside_ms:,.0f} ms inside, the rest is the way"
            )
        return told


def invoke(address: str, photo: Path, *, times: int = 5, sign: bool = False) -> Invocation:
    """Send a photo `times` times. With `sign`, requests are signed for IAM with the credentials that boto3 finds.

    An API key is taken from the environment variable FLEDGED_API_KEY. Raises RequestError where the photo or the
    answer is no good, and DeployError where nothing answers.
    """
    client = Client(address, sign=sign)
    try:
        body = photo.read_bytes()
    except OSError as error:
        raise RequestError(
            f"Cannot read: {error.strerror}", status=404, where=photo, remedy="Check the path."
        ) from error
    took_ms: list[float] = []
    answer: dict[str, Any] = {}
    try:
        for _ in range(times):
            start_s = time.perf_counter()
            answer = client.classify(body)
            took_ms.append(1000 * (time.perf_counter() - start_s))
    finally:
        client.close()
    return Invocation(address=address, answer=answer, first_ms=took_ms[0], later_ms=tuple(took_ms[1:]))
