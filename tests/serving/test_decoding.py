"""Decoders that hang, crash, die or want too much take nothing else with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from fledged import images
from fledged.predicting.predictor import load
from fledged.products import Bundle, Preprocess
from fledged.serving.decoder import ANSWER, HEAD, READY
from fledged.serving.decoding import Decoders, _computed_s, _is_computing, decoders
from fledged.settings.serving import DecodeConfig
from tests.serving.conftest import serving
from tests.serving.photos import encoded, jpeg, of_all_kinds

HOW = Preprocess(size_px=32)


def large() -> bytes:
    """A photo of little data and many pixels: within the limit of pixels, far beyond 256 MB of memory."""
    return encoded(Image.new("RGBA", (9000, 9000), (10, 20, 30, 128)), "PNG", compress_level=1)


def processes_of(pool: Decoders) -> list[int]:
    """The processes that wait for photos."""
    return [each._process.pid for each in list(pool._free.queue)]


def kill_all(pool: Decoders) -> None:
    """As somebody else would, and they are gone."""
    for each in list(pool._free.queue):
        each._process.kill()
        each._process.wait()


@pytest.fixture(scope="module")
def pool_and_count() -> Iterator[tuple[Decoders, list[int]]]:
    config = DecodeConfig(processes=2, timeout_s=2, max_megabytes=512)
    count: list[int] = []
    with decoders(config, lambda: count.append(1)) as opened:
        assert opened is not None
        yield opened, count


@pytest.fixture
def pool(pool_and_count: tuple[Decoders, list[int]]) -> Decoders:
    return pool_and_count[0]


@pytest.fixture
def replaced(pool_and_count: tuple[Decoders, list[int]]) -> list[int]:
    pool_and_count[1].clear()
    return pool_and_count[1]


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_it_decodes_as_the_server_itself_would(pool: Decoders, resize: str) -> None:
    how = Preprocess.model_validate({"size_px": 40, "resize": resize})
    for kind, photo in of_all_kinds().items():
        np.testing.assert_array_equal(pool.decode(photo, how), images.model_input(photo, how), kind)


@pytest.mark.parametrize("photo", [b"no photo", b"\xff\xd8\xff broken", jpeg(size=(300, 300))[:-2000], b""])
def test_what_is_no_photo_is_told_in_the_same_words(pool: Decoders, replaced: list[int], photo: bytes) -> None:
    with pytest.raises(images.BadPhoto) as expected:
        images.model_input(photo, HOW)
    with pytest.raises(images.BadPhoto) as told:
        pool.decode(photo, HOW)
    assert (type(told.value), str(told.value)) == (type(expected.value), str(expected.value))
    assert not replaced


def test_a_photo_that_wants_too_much_memory_is_refused() -> None:
    large = encoded(Image.new("RGB", (9000, 9000)), "PNG", compress_level=1)
    with decoders(DecodeConfig(processes=1, timeout_s=60, max_megabytes=256)) as pool:
        assert pool is not None
        with pytest.raises(images.BadPhoto, match="memory"):
            pool.decode(large, HOW)
        assert pool.decode(jpeg(), HOW).shape == (32, 32, 3)


def test_one_that_takes_too_long_is_killed_and_replaced(pool: Decoders, replaced: list[int]) -> None:
    for _ in range(4):  # both have started
        pool.decode(jpeg(), HOW)
    before = processes_of(pool)
    for process in before:
        os.kill(process, signal.SIGSTOP)  # as a decoder that hangs
    start_s = time.monotonic()
    with pytest.raises(images.BadPhoto, match="more than 2 s"):
        pool.decode(jpeg(), HOW)
    assert 1.9 < time.monotonic() - start_s < 8
    pool._free.queue.reverse()  # the other one, and with more than a pipe holds
    with pytest.raises(images.BadPhoto, match="more than 2 s"):
        pool.decode(b"\xff" * 3 * 2**20, HOW)
    assert len(replaced) == 2
    assert not set(before) & set(processes_of(pool))
    assert pool.decode(jpeg(), HOW).shape == (32, 32, 3)


def test_one_that_waits_for_a_core_is_given_the_time(
    pool: Decoders, replaced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        pool.decode(jpeg(), HOW)
    busy = processes_of(pool)[-1]
    monkeypatch.setattr("fledged.serving.decoding._is_computing", lambda pid: True)
    monkeypatch.setattr("fledged.serving.decoding._computed_s", lambda pid: 0.0)
    monkeypatch.setattr(pool._free.queue[-1], "_timeout_s", 0.2)
    os.kill(busy, signal.SIGSTOP)
    threading.Timer(0.6, os.kill, (busy, signal.SIGCONT)).start()
    assert pool.decode(jpeg(), HOW).shape == (32, 32, 3)
    assert not replaced


def test_what_a_process_computes_is_seen() -> None:
    seconds = _computed_s(os.getpid())
    assert _is_computing(os.getpid())
    assert abs(seconds - time.process_time()) < 1
    assert not _is_computing(2**22 + 1)
    assert _computed_s(2**22 + 1) == 0


def test_a_process_that_dies_is_replaced_and_the_photo_answered(pool: Decoders, replaced: list[int]) -> None:
    pool.decode(jpeg(), HOW)
    os.kill(pool._free.queue[-1]._process.pid, signal.SIGKILL)
    assert pool.decode(jpeg(), HOW).shape == (32, 32, 3)
    assert len(replaced) == 1


def test_a_photo_that_ends_every_process_is_refused(
    pool: Decoders, replaced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(process: Any, *_: object) -> None:
        process.was_given = True
        raise BrokenPipeError

    with monkeypatch.context() as patched:
        patched.setattr(type(pool._free.queue[0]), "answer", dies)
        with pytest.raises(images.BadPhoto, match="ends every process"):
            pool.decode(jpeg(), HOW)
    assert len(replaced) == 2
    assert pool.decode(jpeg(), HOW).shape == (32, 32, 3)


def test_processes_that_end_before_they_were_given_a_photo_say_nothing_of_it(
    pool: Decoders, replaced: list[int]
) -> None:
    for _ in range(4):
        pool.decode(jpeg(), HOW)
    kill_all(pool)
    killed = iter(range(3))
    start = type(pool._free.queue[0]).__init__

    def start_and_kill(process: Any, config: DecodeConfig) -> None:
        start(process, config)
        if next(killed, None) is not None:
            process._process.kill()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(pool._free.queue[0]), "__init__", start_and_kill)
        assert pool.decode(jpeg(), HOW).shape == (32, 32, 3)
    assert len(replaced) > 3


def test_one_that_cannot_be_started_for_a_while_leaves_its_place(
    pool: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    kill_all(pool)
    with monkeypatch.context() as patched:
        patched.setattr(type(pool._free.queue[0]), "__init__", full)
        with pytest.raises(RuntimeError, match="no process"):
            pool.decode(jpeg(), HOW)
    for _ in range(4):
        assert pool.decode(jpeg(), HOW).shape == (32, 32, 3)
    assert pool._free.qsize() == 2


def test_a_killed_decoder_is_no_matter_to_those_who_ask(bundle: Bundle) -> None:
    with decoders(DecodeConfig(processes=2)) as pool:
        assert pool is not None
        predictor = load(bundle, decode=pool.decode)
        with serving(predictor) as url, ThreadPoolExecutor(8) as threads:
            asked = [threads.submit(httpx.post, f"{url}/classify", content=jpeg(), timeout=60) for _ in range(60)]
            for _ in range(3):
                time.sleep(0.05)
                for process in processes_of(pool)[:1]:
                    os.kill(process, signal.SIGKILL)
            answers = [each.result() for each in asked]
    assert {answer.json().get("label") for answer in answers} == {"red"}


def test_none_is_left_over_when_its_server_was_killed() -> None:
    command = [sys.executable, "-m", "fledged.serving.decoder", "4096", "0.01"]
    home = str(Path(images.__file__).parents[1])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=home)
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.read(1) == READY
        how, photo = HOW.model_dump_json().encode(), large()
        process.stdin.write(HEAD.pack(len(how), len(photo)) + how + photo)
        process.stdin.flush()
        told = process.stdout.read(ANSWER.size)  # nothing, where it takes longer than that
        process.stdin.close()
        assert process.wait(30) in (0, -signal.SIGPROF)
        assert not told or process.returncode == 0


def test_it_ends_with_its_input_and_outlives_ctrl_c() -> None:
    with decoders(DecodeConfig(processes=1)) as pool:
        assert pool is not None
        pool.decode(jpeg(), HOW)
        (process,) = pool._free.queue
        process._process.send_signal(signal.SIGINT)
        assert pool.decode(jpeg(), HOW).shape == (32, 32, 3)
        assert process._process.poll() is None
    assert process._process.poll() is not None


def test_it_is_told_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEDGED_API_KEYS", "a-key-of-some-length")
    with decoders(DecodeConfig(processes=1)) as pool:
        assert pool is not None
        pool.decode(jpeg(), HOW)
        assert b"a-key-of" not in Path(f"/proc/{processes_of(pool)[0]}/environ").read_bytes()


def test_none_where_the_server_decodes_itself() -> None:
    with decoders(DecodeConfig(processes=0)) as pool:
        assert pool is None
