"""Counts and times of the answers, in the text format of Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Of a request, in seconds: an answer takes about 20 ms, a deadline is 30 s.
BUCKETS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

Sample = tuple[dict[str, str], float]


class Metrics:
    """What was answered since the server began; any thread may add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started_s = time.time()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: Counter[tuple[str, int]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._n_bytes = 0

    def request(self, route: str, method: str, status: int, seconds: float, n_bytes: int) -> None:
        """A request was answered; `route` and `method` are of those that there are, or `other`."""
        with self._lock:
            self._requests[route, method, status] += 1
            first = next((i for i, most in enumerate(BUCKETS_S) if seconds <= most), len(BUCKETS_S))
            self._buckets[route, first] += 1
            self._seconds[route] += seconds
            self._n_bytes += n_bytes

    def photo(self, result: str) -> None:
        """A photo was `accepted`, told to be `unknown`, or `failed`."""
        with self._lock:
            self._counts["photos", result] += 1

    def reload(self, result: str) -> None:
        """A newer bundle was `taken` or `refused`, or an earlier one was `restored`."""
        with self._lock:
            self._counts["reloads", result] += 1

    def decoder_replaced(self) -> None:
        """A process that decodes photos was ended by one, or for one."""
        with self._lock:
            self._counts["decoders", "replaced"] += 1

    def lines(self) -> Iterator[str]:
        """The text, line by line."""
        with self._lock:
            requests, buckets, counts = dict(self._requests), Counter(self._buckets), dict(self._counts)
            seconds, n_bytes = dict(self._seconds), self._n_bytes
        yield from family(
            "fledged_requests_total",
            "counter",
            "Requests that were answered.",
            (({"route": r, "method": m, "status": str(s)}, n) for (r, m, s), n in sorted(requests.items())),
        )
        yield from _histogram(buckets, seconds)
        refused = sum(n for (_, _, status), n in requests.items() if status == 429)
        yield from _one("fledged_refused_total", "counter", "Requests refused as the line was full.", refused)
        yield from _one("fledged_received_bytes_total", "counter", "Bytes in bodies of requests.", n_bytes)
        for name, label, known, words in (
            ("photos", "result", ("accepted", "unknown", "failed"), "Photos by what was answered."),
            ("reloads", "result", ("taken", "refused", "restored"), "Changes of the bundle that is served."),
        ):
            samples = (({label: each}, float(counts.get((name, each), 0))) for each in known)
            yield from family(f"fledged_{name}_total", "counter", words, samples)
        replaced = counts.get(("decoders", "replaced"), 0)
        words = "Processes that decode photos that had to be replaced."
        yield from _one("fledged_decoders_replaced_total", "counter", words, replaced)
        words = "When the server began, in seconds since 1970."
        yield from _one("process_start_time_seconds", "gauge", words, self._started_s)


def family(name: str, kind: str, words: str, samples: Iterable[Sample]) -> Iterator[str]:
    """A metric with its samples; nothing where there is none."""
    written = [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    if written:
        yield f"# HELP {name} {words}"
        yield f"# TYPE {name} {kind}"
        yield from written


def _one(name: str, kind: str, words: str, value: float) -> Iterator[str]:
    return family(name, kind, words, [({}, value)])


def _histogram(buckets: Counter[tuple[str, int]], seconds: dict[str, float]) -> Iterator[str]:
    name = "fledged_request_seconds"
    if seconds:
        yield f"# HELP {name} From a request's first byte to the end of its answer."
        yield f"# TYPE {name} histogram"
    for route in sorted(seconds):
        n = 0
        for index, most in enumerate((*BUCKETS_S, float("inf"))):
            n += buckets[route, index]
            yield f"{name}_bucket{_labels({'route': route, 'le': _number(most)})} {n}"
        yield f"{name}_sum{_labels({'route': route})} {_number(seconds[route])}"
        yield f"{name}_count{_labels({'route': route})} {n}"


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return "+Inf" if value == float("inf") else repr(float(value)) if value % 1 else str(int(value))
