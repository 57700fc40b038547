"""The loop learns, repeats itself bit by bit, resumes bit by bit, and says when it diverges."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st

from fledged.errors import TrainingError
from fledged.training.batches import FeatureBatches
from fledged.training.loop import Plan, Progress, fit, one_cycle
from fledged.training.model import Head

PLAN = Plan(epochs=8, batch_size=16, learning_rate=0.05, weight_decay=0.01, seed=3)


def data(n: int = 80, n_views: int = 2) -> tuple[FeatureBatches, FeatureBatches]:
    torch.manual_seed(0)
    labels = torch.arange(n) % 3
    features = torch.randn(n_views, n, 6) + 4 * torch.nn.functional.one_hot(labels, 6)
    make = [FeatureBatches(features, labels, PLAN.batch_size, PLAN.seed, shuffle) for shuffle in (True, False)]
    return make[0], make[1]


def run(so_far: Progress | None = None, plan: Plan = PLAN, stop_after: int = 99) -> Progress:
    train, val = data()
    progress = so_far or Progress()
    for _ in fit(Head(6, 3, dropout=0.2), train, val, plan, progress, Accelerator(cpu=True)):
        if len(progress.history) == stop_after:
            break
    return progress


def figures(progress: Progress) -> list[tuple[float, ...]]:
    return [
        (e.epoch, e.train_loss, e.train_accuracy, e.val_loss, e.val_accuracy, e.learning_rate) for e in progress.history
    ]


def test_it_learns_and_the_best_epoch_is_kept() -> None:
    progress = run(plan=Plan(epochs=30, batch_size=16, learning_rate=0.05, weight_decay=0.01, seed=3))
    assert progress.history[-1].val_accuracy > 0.9
    assert progress.best_epoch.val_loss == min(epoch.val_loss for epoch in progress.history)


def test_the_same_seed_gives_the_same_bits() -> None:
    one, two = run(), run()
    assert figures(one) == figures(two)
    assert all(torch.equal(one.best[key], two.best[key]) for key in one.best)


@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_resumed_training_ends_in_the_same_bits(stop_after: int) -> None:
    whole, part = run(), run(stop_after=stop_after)
    resumed = run(Progress(dict(part.model), dict(part.optimizer), dict(part.best), list(part.history)))
    assert figures(resumed) == figures(whole)
    for name in ("model", "optimizer", "best"):
        ours, theirs = getattr(resumed, name), getattr(whole, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.filterwarnings("ignore:overflow")
def test_divergence_is_an_error_with_advice() -> None:
    with pytest.raises(TrainingError, match=r"diverged in epoch \d.*--learning-rate"):
        run(plan=Plan(epochs=8, batch_size=16, learning_rate=1e38, weight_decay=0, seed=3))


@given(total=st.integers(1, 500))
def test_the_rate_rises_to_its_peak_and_falls_to_nothing(total: int) -> None:
    rates = [one_cycle(step, total) for step in range(total)]
    assert all(0 < rate <= 1 for rate in rates)
    if total >= 8:
        peak = rates.index(max(rates))
        assert rates[: peak + 1] == sorted(rates[: peak + 1])
        assert rates[peak:] == sorted(rates[peak:], reverse=True)
        assert rates[-1] < 1e-3
