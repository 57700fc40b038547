"""Processes that decode photos for the server, each of which may be killed: by a photo, for a photo, or by anybody.

Decoders are written in C and fed by strangers. One that hangs, crashes or takes all memory ends its process; the photo
is refused, another process takes the place, and nobody else notices.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import fledged
from fledged import images
from fledged.engine import n_workers
from fledged.images import UInt8Array
from fledged.products import Preprocess
from fledged.serving.decoder import ANSWER, BAD_PHOTO, HEAD, NOT_A_PHOTO, READY
from fledged.settings.serving import DecodeConfig

_START_S = 60.0
_MOST_STARTS, _MOST_ENDED = 20, 2
_CHUNK = 2**20
# All that a decoder is told of the server's environment: nothing in it is secret.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME", "TMPDIR")


class Decoders:
    """A pool of processes; any number of threads may call `decode`, and wait for one that is free."""

    def __init__(self, config: DecodeConfig, on_replaced: Callable[[], None] = lambda: None) -> None:
        self._config = config
        self._on_replaced = on_replaced
        self._free: queue.LifoQueue[_Process] = queue.LifoQueue()
        self._is_closed = False
        for _ in range(n_workers(max(0, config.processes))):
            self._free.put(_Process(config))

    def decode(self, photo: bytes, how: Preprocess) -> UInt8Array:
        """What `images.model_input` returns. Raises BadPhoto as it does, and where the photo took too much.

        A process that ends may have been killed by somebody else, so the photo is tried on a second one; those that
        end before they were given the photo say nothing of it. Raises RuntimeError where none starts.
        """
        request = _asked(how)
        n_ended = 0
        for _ in range(_MOST_STARTS):
            process = self._free.get()
            try:
                if process.has_ended:  # another could not be started in its place
                    process = _Process(self._config)
                return process.answer(request, photo, how.size_px)
            except _TookTooLongError as error:
                process.end()
                raise images.BadPhoto(f"it takes more than {self._config.timeout_s:g} s to decode") from error
            except OSError as error:
                process.end()
                n_ended += process.was_given
                if n_ended == _MOST_ENDED:
                    raise images.BadPhoto("it ends every process that decodes it") from error
            finally:
                self._free.put(self._whole(process))
        raise RuntimeError("no process that decodes photos starts")

    def close(self) -> None:
        """End all processes that are free; those at work end when they are done."""
        self._is_closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._free.get_nowait().end()

    def _whole(self, process: _Process) -> _Process:
        if not process.has_ended or self._is_closed:
            return process
        try:
            another = _Process(self._config)
        except OSError:  # too many processes or files, too little memory: its place is kept, and tried again
            return process
        self._on_replaced()
        return another


class _TookTooLongError(Exception):
    """The process has not answered in time."""


class _Process:
    def __init__(self, config: DecodeConfig) -> None:
        command = [sys.executable, "-P", "-m", "fledged.serving.decoder"]
        home = str(Path(fledged.__file__).parents[1])
        told = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self._timeout_s = config.timeout_s
        self._process = subprocess.Popen(
            [*command, str(config.max_megabytes), str(config.timeout_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # Threads of a numerical library would take address space, of which there is only so much.
            env=told | {"PYTHONPATH": home, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        for descriptor in (self._to, self._from):
            os.set_blocking(descriptor, False)
            _widen(descriptor)
        self._is_ready = False
        self.was_given = False  # a photo: what ends it from then on may be that photo
        self.has_ended = False

    def answer(self, request: bytes, photo: bytes, side_px: int) -> UInt8Array:
        """The tensor. Raises BadPhoto, _TookTooLongError, and OSError where the process is gone."""
        self.was_given = False
        if not self._is_ready:
            self._await_ready()
        until_s = time.monotonic() + self._timeout_s
        before_s = _computed_s(self._process.pid)
        self._write(HEAD.pack(len(request), len(photo)) + request, until_s)
        self.was_given = True
        self._write(photo, until_s)
        while True:
            try:
                self._await_answer(until_s)
                break
            except _TookTooLongError:
                left_s = self._timeout_s - (_computed_s(self._process.pid) - before_s)
                if left_s <= 0 or not _is_computing(self._process.pid):
                    raise
                until_s = time.monotonic() + max(0.1, left_s)
        until_s = time.monotonic() + self._timeout_s
        kind, n_bytes = ANSWER.unpack(self._read(ANSWER.size, until_s))
        body = self._read(n_bytes, until_s)
        if kind == NOT_A_PHOTO:
            raise images.NotAPhoto(body.decode())
        if kind == BAD_PHOTO:
            raise images.BadPhoto(body.decode())
        return np.frombuffer(body, np.uint8).reshape(side_px, side_px, 3)

    def _await_answer(self, until_s: float) -> None:
        """Its first byte is there, or the end."""
        _wait(self._from, select.POLLIN, until_s)

    def _await_ready(self) -> None:
        with contextlib.suppress(_TookTooLongError):
            self._is_ready = self._read(1, time.monotonic() + _START_S) == READY
        if not self._is_ready:
            raise BrokenPipeError

    def end(self) -> None:
        """Kill it, whatever it does."""
        if not self.has_ended:
            self.has_ended = True
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()

    def _write(self, data: bytes, until_s: float) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._to, view[:_CHUNK]) :]
            except BlockingIOError:
                _wait(self._to, select.POLLOUT, until_s)

    def _read(self, n_bytes: int, until_s: float) -> bytearray:
        read = bytearray()
        while len(read) < n_bytes:
            try:
                chunk = os.read(self._from, n_bytes - len(read))
            except BlockingIOError:
                _wait(self._from, select.POLLIN, until_s)
                continue
            if not chunk:
                raise BrokenPipeError
            read += chunk
        return read


@contextlib.contextmanager
def decoders(config: DecodeConfig, on_replaced: Callable[[], None] = lambda: None) -> Iterator[Decoders | None]:
    """A pool for as long as the block lasts; None where photos are decoded in the server itself."""
    if config.processes == 0 or os.name != "posix":
        yield None
        return
    pool = Decoders(config, on_replaced)
    try:
        yield pool
    finally:
        pool.close()


@functools.lru_cache(4)
def _asked(how: Preprocess) -> bytes:
    return how.model_dump_json().encode()


def _computed_s(pid: int) -> float:
    """CPU seconds that a process has taken; 0 where the system does not say.

    By the process' own clock, named as Linux's clock_getcpuclockid(3) does, which costs a hundredth of reading /proc.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except (OSError, AttributeError):
        return 0.0


def _is_computing(pid: int) -> bool:
    """Whether a process computes, or would if it had a core; False where nobody knows.

    It tells one that is slow because the machine is busy from one that is slow by itself, or hangs.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
    except (OSError, IndexError):
        return False


def _wait(descriptor: int, what: int, until_s: float) -> None:
    poll = select.poll()
    poll.register(descriptor, what)
    if not poll.poll(max(0.0, until_s - time.monotonic()) * 1000):
        raise _TookTooLongError


def _widen(descriptor: int) -> None:
    """Make a pipe hold a whole photo where the system lets it: fewer turns of the two processes."""
    import fcntl

    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _CHUNK)
