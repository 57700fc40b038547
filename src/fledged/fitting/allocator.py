"""Memory that a step of training frees is kept for the next one, where glibc hands memory out.

It gives blocks of 32 MB and more back at once, such as the activations of a large batch, and Linux clears each page
again when it is next asked for: a quarter of the time of fine-tuning MobileNetV2 at 224 px on two cores (`python -m
benchmarks finetuning`). https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
import threading
from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of malloc.h
_NEVER = -1
_USUALLY_MAPPED = 65536
_MB = 2**20

_lock = threading.Lock()
_n_inside = 0


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """In here freed memory stays with the process; after it, what is free goes back. May be nested."""
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _n_inside
    with _lock:
        _n_inside += 1
        if _n_inside == 1 and (libc := _glibc()):
            libc.mallopt(_MMAP_MAX, 0)
            libc.mallopt(_TRIM_THRESHOLD, _NEVER)


def _leave() -> None:
    global _n_inside
    with _lock:
        _n_inside -= 1
        if _n_inside == 0 and (libc := _glibc()):
            libc.mallopt(_MMAP_MAX, _USUALLY_MAPPED)
            # glibc no longer moves these by itself: here they are as far as it would have moved them.
            libc.mallopt(_MMAP_THRESHOLD, 32 * _MB)
            libc.mallopt(_TRIM_THRESHOLD, 64 * _MB)
            libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
