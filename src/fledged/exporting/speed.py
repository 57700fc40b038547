"""How long an export takes to answer, without decoding, on this machine."""

from __future__ import annotations

import statistics
import time

import numpy as np

from fledged.engine import n_workers
from fledged.exporting.parity import Ask
from fledged.measured import Speed
from fledged.metering import cpu_name

_MANY = 32
_WARM_UPS, _TIMES, _TIMES_MANY = 3, 30, 3


def speed_of(ask: Ask, size_px: int) -> Speed:
    """Medians; the photos are noise, which takes as long as any other photo."""
    noise = np.random.default_rng(0).integers(0, 256, (_MANY, size_px, size_px, 3), np.uint8)
    for _ in range(_WARM_UPS):
        ask(noise[:1])
    one = [_seconds(ask, noise[:1]) for _ in range(_TIMES)]
    ask(noise)
    many = [_seconds(ask, noise) for _ in range(_TIMES_MANY)]
    machine = f"{n_workers(0)} cores of {cpu_name()}"
    return Speed(ms_1=1000 * statistics.median(one), ms_32=1000 * statistics.median(many), machine=machine)


def _seconds(ask: Ask, photos: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    start_s = time.perf_counter()
    ask(photos)
    return time.perf_counter() - start_s
