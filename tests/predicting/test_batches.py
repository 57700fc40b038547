"""Photos that wait for each other: together where the model is busy, at once where it is not, and never for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from fledged.predicting.batches import Batches
from fledged.predicting.predictor import load
from fledged.products import Bundle
from fledged.settings.serving import BatchConfig
from tests.serving.photos import COLOURS, jpeg


class Doubling:
    """Answers twice each number, once the gate is open; remembers what came together."""

    def __init__(self) -> None:
        self.gate, self.began = threading.Event(), threading.Semaphore(0)
        self.seen: list[list[int]] = []

    def run(self, names: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        photos = inputs["photos"]
        self.seen.append(sorted(photos[:, 0].tolist()))
        self.began.release()
        assert self.gate.wait(20)
        if 13 in photos:
            raise ValueError("13 is refused")
        return [photos[:, 0] * 2 for _ in names]


def of(*numbers: int) -> dict[str, Any]:
    return {"photos": np.array(numbers)[:, None]}


def waiting_for(n: int, batches: Batches) -> None:
    """Until so many photos have joined a batch that has not begun."""
    end_s = time.monotonic() + 20
    while sum(batch.n for batch in batches._open.values()) != n:
        assert time.monotonic() < end_s
        time.sleep(0.002)


def test_who_comes_while_the_model_is_busy_goes_together() -> None:
    model = Doubling()
    batches = Batches(model, 4, wait_s=20)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batches.run, ["y"], of(1))
        assert model.began.acquire(timeout=20)  # at once, and alone
        others = [pool.submit(batches.run, ["y"], of(n)) for n in (2, 3, 4)]
        waiting_for(3, batches)
        other_outputs = pool.submit(batches.run, ["y", "z"], of(5))
        waiting_for(4, batches)
        model.gate.set()
        assert first.result(20)[0].tolist() == [2]
        assert [run.result(20)[0].tolist() for run in others] == [[4], [6], [8]]
        assert [each.tolist() for each in other_outputs.result(20)] == [[10], [10]]
    assert model.seen[0] == [1]
    assert sorted(model.seen[1:]) == [[2, 3, 4], [5]]  # who wants other outputs has a batch of its own


def test_a_full_batch_goes_and_nobody_waits_longer_than_was_said() -> None:
    model = Doubling()
    batches = Batches(model, 2, wait_s=0.05)
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(batches.run, ["y"], of(n)) for n in range(4)]
        began_s = time.monotonic()
        for _ in range(2):
            assert model.began.acquire(timeout=20)
        late = pool.submit(batches.run, ["y"], of(9))
        while not any(9 in seen for seen in model.seen):  # the model is still busy, and 0.05 s are over
            assert time.monotonic() < began_s + 20
            time.sleep(0.005)
        model.gate.set()
        assert [run.result(20)[0].tolist() for run in runs] == [[0], [2], [4], [6]]
        assert late.result(20)[0].tolist() == [18]
    assert max(map(len, model.seen)) <= 2


def test_each_of_a_batch_that_fails_is_told_and_the_next_one_is_answered() -> None:
    model = Doubling()
    batches = Batches(model, 8, wait_s=20)
    with ThreadPoolExecutor(8) as pool:
        busy = pool.submit(batches.run, ["y"], of(1))
        assert model.began.acquire(timeout=20)
        failing = [pool.submit(batches.run, ["y"], of(n)) for n in (12, 13)]
        waiting_for(2, batches)
        model.gate.set()
        busy.result(20)
        for run in failing:
            with pytest.raises(ValueError, match="13 is refused"):
                run.result(20)
    assert batches.run(["y"], of(6))[0].tolist() == [12]


def test_the_answers_are_those_to_single_photos(bundle: Bundle) -> None:
    one = load(bundle, threads=2)
    many = load(bundle, threads=2, in_crowds=True, batch=BatchConfig(max_photos=4, max_wait_ms=20))
    assert isinstance(many._session, Batches)
    photos = [jpeg(colour) for colour in COLOURS] * 20
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(many.predict, photos))
    for photo, answer in zip(photos, answers, strict=True):
        expected = one.predict(photo)
        assert answer.label == expected.label
        assert answer.confidence == pytest.approx(expected.confidence, abs=1e-6)
        assert answer.unknown_score == pytest.approx(expected.unknown_score, abs=1e-6)
