from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fledged.predicting import sessions
from fledged.predicting.predictor import load
from fledged.predicting.sessions import Sessions
from fledged.products import Bundle
from tests.serving.photos import COLOURS, jpeg


class Recorded:
    """Counts its runs, each of which waits for the gate."""

    def __init__(self, gate: threading.Event) -> None:
        self.n, self.gate = 0, gate

    def run(self, names: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        self.n += 1
        assert self.gate.wait(20)
        if "fail" in inputs:
            raise RuntimeError
        return []


def test_who_comes_alone_has_all_cores_and_a_crowd_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_CROWD_LASTS_S", 0.3)
    gate = threading.Event()
    alone, crowd = Recorded(gate), Recorded(gate)
    both = Sessions(alone, crowd)
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(both.run, [], {}) for _ in range(3)]
        while alone.n + crowd.n < 3:
            time.sleep(0.01)
        gate.set()
        for run in runs:
            run.result()
    assert (alone.n, crowd.n) == (1, 2)
    both.run([], {})  # still a crowd
    assert (alone.n, crowd.n) == (1, 3)
    time.sleep(0.35)
    for _ in range(2):
        both.run([], {})
    assert (alone.n, crowd.n) == (3, 3)


def test_a_run_that_fails_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    gate.set()
    alone, crowd = Recorded(gate), Recorded(gate)
    both = Sessions(alone, crowd)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            both.run([], {"fail": 1})
    assert (alone.n, crowd.n) == (2, 0)


def test_the_answers_are_the_same(bundle: Bundle) -> None:
    one, many = load(bundle, threads=2), load(bundle, threads=2, in_crowds=True)
    photos = [jpeg(colour) for colour in COLOURS] * 20
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(many.predict, photos))
    for photo, answer in zip(photos, answers, strict=True):
        expected = one.predict(photo)
        assert answer.label == expected.label
        assert answer.confidence == pytest.approx(expected.confidence, abs=1e-6)
