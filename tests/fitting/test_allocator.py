"""Freed memory that is kept: seen by the pages that Linux has to clear anew, in a process of its own."""

import json
import platform
import subprocess
import sys

import pytest

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc does not hand out memory here")

_SCRIPT = """
import contextlib, ctypes, json, resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from fledged.fitting import allocator

def shares(n_bytes=64 * 2**20):
    "The fewest of the pages of a block that Linux gives anew as it is filled and freed again and again."
    found = []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        ctypes.create_string_buffer(n_bytes)
        found.append((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() / n_bytes)
    return min(found)

def rss_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

told = {"usual": shares(), "usual_mb": rss_mb()}
with contextlib.suppress(ValueError), allocator.kept():
    told["kept"] = shares()
    with allocator.kept():
        told["within"] = shares()
    told["again"] = shares()
    told["kept_mb"] = rss_mb()
    with ThreadPoolExecutor(2) as pool:
        told["threads"] = list(pool.map(lambda n: ctypes.create_string_buffer(80 * 2**20)[n], range(4)))
    raise ValueError("of a step")
told["after_mb"] = rss_mb()
print(json.dumps(told, default=repr))
"""


@glibc
def test_a_step_finds_the_pages_of_the_one_before() -> None:
    told = json.loads(subprocess.run([sys.executable, "-c", _SCRIPT], check=True, capture_output=True).stdout)
    assert told["usual"] > 0.9
    assert told["kept"] < 0.1
    assert told["within"] < 0.1  # as a range test within a training
    assert told["again"] < 0.1
    assert told["kept_mb"] - told["usual_mb"] > 50
    assert told["after_mb"] - told["usual_mb"] < 10  # what is free goes back, also after an error
    assert len(told["threads"]) == 4  # whose heaps have no room for such blocks
