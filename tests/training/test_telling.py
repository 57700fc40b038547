"""A line an epoch: loss, accuracy, pace and what is left."""

from __future__ import annotations

import time

import pytest

from fledged.fitting.epochs import Epoch
from fledged.products import Dataset
from fledged.progress import Lines
from fledged.training.telling import line_of, teller, within


def epoch(number: int, val_loss: float, seconds: float) -> Epoch:
    return Epoch(
        epoch=number,
        train_loss=0.31251,
        train_accuracy=0.891,
        val_loss=val_loss,
        val_loss_error=0.02,
        val_accuracy=0.917,
        learning_rate=1e-3,
        seconds=seconds,
    )


def test_it_says_what_the_epoch_brought() -> None:
    history = [epoch(1, 0.5, 90.0), epoch(2, 0.285, 60.0), epoch(3, 0.285, 62.0)]
    assert line_of(history[:2], 2400, 20) == (
        "Epoch 2 of 20: training loss 0.3125, 89.1% right; validation loss 0.2850 (lowest so far), 91.7% right; "
        "40 photos/s, about 22 min 30 s left"
    )
    assert "(lowest so far)" not in line_of(history, 2400, 20)
    assert line_of(history, 2400, 3).endswith("; 39 photos/s")


def test_epochs_that_are_over_sooner_than_one_can_read_are_not_all_told(
    dataset: Dataset, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    tell = teller(dataset, 60, Lines())
    history: list[Epoch] = []
    for number in range(1, 11):
        now_s += 0.5
        history.append(epoch(number, 1 / number, 0.5))
        tell(history)
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == ["Epoch 4 of 60", "Epoch 8 of 60"]


def test_of_epochs_that_take_long_the_steps_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    heard: list[tuple[str, int, int]] = []
    told = within(3, 5, lambda *numbers: heard.append(numbers))
    for epoch, step_s in ((1, 0.1), (2, 0.9)):
        for n_done in range(1, 6):
            now_s += step_s
            told(epoch, n_done)
    assert heard == [("Epoch 2 of 3", 4, 5), ("Epoch 2 of 3", 5, 5)]
