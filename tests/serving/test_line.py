"""The line: who waits, who is refused, and who was promised an answer in time."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from fledged.errors import RequestError
from fledged.serving.line import Line


async def outcome(line: Line, work: Any) -> Any:
    try:
        return await line.run(work)
    except RequestError as error:
        return error.status


def test_as_many_as_there_are_places_are_answered_and_the_others_refused_at_once() -> None:
    line, gate, at_once, most = Line(2, 3, 30), threading.Event(), 0, 0

    def work() -> str:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        gate.wait(10)
        at_once -= 1
        return "answer"

    async def many() -> list[Any]:
        outcomes: list[Any] = []

        async def ask() -> None:
            outcomes.append(await outcome(line, work))
            if outcomes.count(429) == 4:
                gate.set()

        async with anyio.create_task_group() as group:
            for _ in range(9):
                group.start_soon(ask)
        return outcomes

    outcomes = anyio.run(many)
    assert (outcomes.count("answer"), outcomes.count(429), most) == (5, 4, 2)
    anyio.run(line.check)
    assert anyio.run(outcome, line, lambda: "again") == "again"


def test_who_waits_too_long_is_told_and_its_place_is_free_when_the_work_is_done() -> None:
    line, gate = Line(1, 0, 0.1), threading.Event()
    assert anyio.run(outcome, line, lambda: gate.wait(10)) == 504
    with pytest.raises(RequestError) as full:
        anyio.run(line.check)  # the thread is still at it
    assert full.value.status == 429
    gate.set()
    for _ in range(200):
        if line._n_taken == 0:
            break
        anyio.run(anyio.sleep, 0.01)
    assert anyio.run(outcome, line, lambda: "next") == "next"


def test_who_is_refused_is_told_after_a_pause_unless_many_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fledged.serving.line._PAUSE_S", 0.3)
    monkeypatch.setattr("fledged.serving.line._MOST_PAUSED", 2)
    line, gate, seconds = Line(1, 0, 10), threading.Event(), []

    async def refused() -> None:
        start_s = anyio.current_time()
        with pytest.raises(RequestError):
            await line.check()
        seconds.append(anyio.current_time() - start_s)

    async def many() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(line.run, lambda: gate.wait(10))
            await anyio.sleep(0)
            for _ in range(3):
                group.start_soon(refused)
            await anyio.sleep(0.5)
            gate.set()

    anyio.run(many)
    assert seconds[0] < 0.2 < min(seconds[1:])
    assert line._n_paused == 0


def test_what_never_began_leaves_its_place() -> None:
    line, gate = Line(1, 1, 0.2), threading.Event()

    async def two() -> list[Any]:
        outcomes: list[Any] = []

        async def ask(work: Any) -> None:
            outcomes.append(await outcome(line, work))

        async with anyio.create_task_group() as group:
            group.start_soon(ask, lambda: gate.wait(10))
            await anyio.sleep(0.05)
            group.start_soon(ask, lambda: "never begun")
        return outcomes

    assert anyio.run(two) == [504, 504]
    assert line._n_taken == 1
    gate.set()


def test_a_failure_is_the_callers_and_frees_the_place() -> None:
    line = Line(1, 0, 5)

    def fail() -> None:
        raise RuntimeError("its own")

    with pytest.raises(RuntimeError, match="its own"):
        anyio.run(line.run, fail)
    assert anyio.run(outcome, line, lambda: "next") == "next"
