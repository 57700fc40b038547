"""Short trials of a server under load: too much of it, killed decoders, newer bundles, and the end.

What is accepted is answered: a photo that was sent whole gets its answer, or a refusal that says to come again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import os
import random
import shutil
import signal
import time
from pathlib import Path

from benchmarks import results
from benchmarks.soaking.asking import Answer, Asker
from benchmarks.soaking.loading import Load, Tally, arrivals, judge_of
from benchmarks.soaking.mix import Ask, Mix, wrong
from benchmarks.soaking.watching import Server, served
from fledged.products import Bundle
from fledged.workspace import Workspace

TOLERANCE = 1e-5
_SECONDS, _TIMES_TOO_MUCH = 10.0, 4.0
_OTHER = "50ac00000002"
_SEVERAL = "three"


def try_all(bundle: Bundle, mix: Mix, folder: Path) -> list[str]:
    """All of them, each on a server of its own; writes the table and returns what went wrong."""
    photos = Mix(tuple(ask for ask in mix.good if not ask.kind.startswith(_SEVERAL)), (), 0.0)
    rows, broken = [], []
    for name, trial in (
        (f"{_TIMES_TOO_MUCH:g} times too much", _too_much),
        ("decoders killed", _killed),
        ("newer bundles, one after the other", _reloaded),
        ("SIGTERM", _ended),
    ):
        row, wrongs = trial(bundle, photos, folder)
        rows.append([name, *row])
        broken += [f"{name}: {line}" for line in wrongs[:10]]
    results.write(
        "Soak: trials under load",
        "python -m benchmarks.soak --trials",
        ["trial", "photos sent", "answered", "refused: busy", "wrong or lost", "what was seen"],
        rows,
        f"{_SECONDS:g} s each, at 80 % of what the server could answer just before, where nothing else is said. Client "
        "and server share the cores.",
    )
    return broken


Outcome = tuple[list[object], list[str]]


def _row(load: Load, seen: str) -> Outcome:
    tally = load.tally
    return [tally.sent.total(), tally.right.total(), tally.n_busy(), len(tally.wrong), seen], tally.wrong


def _load(server: Server, mix: Mix, bundle: Bundle) -> Load:
    return Load(Asker(server.port), mix, judge_of(bundle.id, max(TOLERANCE, bundle.parity.max_abs_difference)))


def _too_much(bundle: Bundle, mix: Mix, folder: Path) -> Outcome:
    with served(bundle.folder, folder / "log") as server:
        load = _load(server, mix, bundle)

        async def trial() -> tuple[float, float]:
            rate = await load.capacity(5)
            load.tally = Tally()
            loading = asyncio.create_task(load.at_rate(_TIMES_TOO_MUCH * rate, _SECONDS))
            await asyncio.sleep(_SECONDS)
            end_s = time.monotonic()
            while (await load.one(mix.good[0])).status != 200:
                await asyncio.sleep(0.05)
            seconds = time.monotonic() - end_s
            await loading
            return rate, seconds

        rate, seconds = asyncio.run(trial())
        times = sorted(itertools.chain.from_iterable(load.tally.seconds.values()))
        p99 = times[int(0.99 * (len(times) - 1))]
        seen = (
            f"{rate:.0f} requests/s before; p99 of the answers {p99:.1f} s; the next one answered {seconds:.1f} s after"
        )
        return _row(load, seen)


def _killed(bundle: Bundle, mix: Mix, folder: Path) -> Outcome:
    with served(bundle.folder, folder / "log") as server:
        load = _load(server, mix, bundle)
        n_killed = 0

        async def trial() -> None:
            nonlocal n_killed
            rate = await load.capacity(5)
            loading = asyncio.create_task(load.at_rate(0.8 * rate, _SECONDS))
            while not loading.done():
                await asyncio.sleep(2)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(random.choice(server.decoders()), signal.SIGKILL)
                    n_killed += 1
            await loading

        asyncio.run(trial())
        row, wrongs = _row(load, f"{n_killed} killed, one every 2 s")
        return row, wrongs + server.odd_lines()


def _reloaded(bundle: Bundle, mix: Mix, folder: Path) -> Outcome:
    """Two bundles whose classes are in opposite orders: an answer of both would show."""
    other = _turned(bundle, folder / "turned")
    link = folder / "live"
    link.symlink_to(bundle.folder)
    classes = dict(zip(bundle.classes, other.classes, strict=True))
    tolerance = max(TOLERANCE, bundle.parity.max_abs_difference)

    def judge(ask: Ask, body: bytes) -> str:
        if f'"{_OTHER}"'.encode() not in body:
            return wrong(ask, body, bundle.id, tolerance)
        (known,) = ask.expected
        top = tuple(entry.model_copy(update={"label": classes[entry.label]}) for entry in known.top_k)
        turned = known.model_copy(update={"label": classes[known.label], "top_k": top})
        return wrong(dataclasses.replace(ask, expected=(turned,)), body, _OTHER, tolerance)

    with served(link, folder / "log") as server:
        load = _load(server, mix, bundle)
        load.judge = judge

        async def trial() -> int:
            rate = await load.capacity(5)
            loading = asyncio.create_task(load.at_rate(0.8 * rate, _SECONDS))
            for n in itertools.count():
                while not loading.done() and server.log.read_text().count('"bundle taken up"') < n:
                    await asyncio.sleep(0.2)
                await asyncio.sleep(0.5)
                if loading.done():
                    await loading
                    return n
                (folder / "next").symlink_to((other if n % 2 == 0 else bundle).folder)
                (folder / "next").replace(link)
                server.process.send_signal(signal.SIGHUP)
            raise AssertionError("unreachable")

        n = asyncio.run(trial())
        taken = server.log.read_text().count('"bundle taken up"')
        row, wrongs = _row(load, f"asked {n} times to take one up, {taken} taken up")
        return row, wrongs + server.odd_lines() + ([] if taken else ["none was taken up"])


def _turned(bundle: Bundle, folder: Path) -> Bundle:
    workspace = Workspace(folder)
    place = workspace.folder("bundle", _OTHER)
    shutil.copytree(bundle.folder, place)
    return workspace.save(bundle.model_copy(update={"id": _OTHER, "classes": bundle.classes[::-1]}))


def _ended(bundle: Bundle, mix: Mix, folder: Path) -> Outcome:
    """What was sent whole before the signal must be answered, and the server end with 0."""
    with served(bundle.folder, folder / "log") as server:
        load = _load(server, mix, bundle)
        answers: list[Answer] = []

        async def ask_all(rate: float) -> None:
            async with asyncio.TaskGroup() as group:
                async for _ in arrivals(random.Random(3), rate, _SECONDS / 2 + 1):
                    asked = group.create_task(load.one(random.choice(mix.good)))
                    asked.add_done_callback(lambda task: answers.append(task.result()))

        async def trial() -> tuple[float, float]:
            rate = await load.capacity(5)
            load.tally = Tally()
            loading = asyncio.create_task(ask_all(1.5 * rate))
            await asyncio.sleep(_SECONDS / 2)
            end_s = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            await loading
            return end_s, time.monotonic() - end_s

        end_s, seconds = asyncio.run(trial())
        code = server.process.wait(90)
        lost = [f"sent before, {answer.why}" for answer in answers if answer.sent_s < end_s and not answer.status]
        before = sum(answer.sent_s < end_s for answer in answers)
        load.tally.wrong = [
            line for line in load.tally.wrong if ": lost" not in line and ": no connection" not in line
        ] + lost
        turned_away = sum(answer.sent_s >= end_s and not answer.status for answer in answers)
        row, wrongs = _row(
            load,
            f"{before} sent before the signal, {turned_away} after it were turned away; the last answer "
            f"{seconds:.1f} s after it, exit code {code}",
        )
        return row, wrongs + server.odd_lines() + ([f"exit code {code}"] if code else [])
