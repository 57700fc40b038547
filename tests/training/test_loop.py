"""The loop learns, repeats itself bit by bit, resumes bit by bit, and says when it diverges."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Literal, get_args

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st

from fledged.config import OptimizeConfig
from fledged.errors import TrainingError
from fledged.training.batches import FeatureBatches
from fledged.training.loop import Plan, Progress, class_weights, fit
from fledged.training.model import Head

PLAN = Plan(
    epochs=8,
    batch_size=16,
    learning_rate=0.05,
    seed=3,
    optimize=OptimizeConfig(weight_decay=0.01, precision="fp32"),
)


def data(n: int = 80, n_views: int = 2) -> tuple[FeatureBatches, FeatureBatches]:
    torch.manual_seed(0)
    labels = torch.arange(n) % 3
    features = torch.randn(n_views, n, 6) + 4 * torch.nn.functional.one_hot(labels, 6)
    make = [FeatureBatches(features, labels, PLAN.batch_size, PLAN.seed, shuffle) for shuffle in (True, False)]
    return make[0], make[1]


def run(so_far: Progress | None = None, plan: Plan = PLAN, stop_after: int = 99) -> Progress:
    train, val = data()
    progress = so_far or Progress()
    for progress in fit(Head(6, 3, dropout=0.2), train, val, plan, progress, Accelerator(cpu=True)):  # noqa: B020
        if len(progress.history) == stop_after:
            break
    return progress


def figures(progress: Progress) -> list[tuple[float, ...]]:
    return [
        (e.epoch, e.train_loss, e.train_accuracy, e.val_loss, e.val_accuracy, e.learning_rate) for e in progress.history
    ]


def test_it_learns_and_the_best_epoch_is_kept() -> None:
    progress = run(plan=replace(PLAN, epochs=30))
    assert progress.history[-1].val_accuracy > 0.9
    assert progress.best_epoch.val_loss == min(epoch.val_loss for epoch in progress.history)


def test_the_same_seed_gives_the_same_bits() -> None:
    one, two = run(), run()
    assert figures(one) == figures(two)
    assert all(torch.equal(one.best[key], two.best[key]) for key in one.best)


@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_resumed_training_ends_in_the_same_bits(stop_after: int) -> None:
    whole, part = run(), run(stop_after=stop_after)
    resumed = run(part)
    assert figures(resumed) == figures(whole)
    for name in ("model", "optimizer", "average", "best"):
        ours, theirs = getattr(resumed, name), getattr(whole, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.filterwarnings("ignore:overflow")
def test_divergence_is_an_error_with_advice() -> None:
    with pytest.raises(TrainingError, match=r"diverged in epoch \d.*--learning-rate"):
        run(plan=replace(PLAN, learning_rate=1e38))


Balance = Literal["none", "weights", "sampling"]


@functools.cache
def imbalanced(balance: Balance) -> tuple[list[float], Progress]:
    """Recall of each class after training on 90 photos of one and 10 of another that overlap, and how it went."""
    random = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 90 + [1] * 10)
    features = (torch.randn(1, 100, 2, generator=random) + labels[None, :, None]).contiguous()
    plan = replace(PLAN, epochs=15, learning_rate=0.1, balance=balance, class_weights=class_weights([90, 10]))
    train = FeatureBatches(features, labels, 20, 3, shuffle=True, balanced=balance == "sampling")
    val = FeatureBatches(features, labels, 100, 3, shuffle=False)
    head = Head(2, 2)
    *_, progress = fit(head, train, val, plan, Progress(), Accelerator(cpu=True))
    head.load_state_dict(progress.best)
    named = head.eval()(features[0]).argmax(1)
    return [float((named[labels == label] == label).float().mean()) for label in (0, 1)], progress


def test_weights_and_sampling_find_the_rare_class_that_is_lost_without() -> None:
    none, weights, sampling = (imbalanced(balance)[0] for balance in get_args(Balance))
    assert none[1] <= 0.3
    assert weights[1] >= 0.6
    assert sampling[1] >= 0.6
    assert none[0] > max(weights[0], sampling[0])


def test_weighted_losses_are_means_that_let_every_class_count_the_same() -> None:
    _, progress = imbalanced("weights")
    head = Head(2, 2)
    head.load_state_dict(progress.best)
    random = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 90 + [1] * 10)
    features = torch.randn(1, 100, 2, generator=random) + labels[None, :, None]
    losses = torch.nn.functional.cross_entropy(head.eval()(features[0]), labels, reduction="none")
    expected = (losses[labels == 0].mean() + losses[labels == 1].mean()) / 2
    assert progress.best_epoch.val_loss == pytest.approx(expected.item(), abs=1e-5)


@given(counts=st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any))
def test_class_weights_give_every_class_the_same_and_a_photo_one_on_average(counts: list[int]) -> None:
    weights = class_weights(counts)
    sums = [weight * n for weight, n in zip(weights, counts, strict=True) if n]
    assert sums == pytest.approx([sum(counts) / len(sums)] * len(sums))
    assert sum(sums) == pytest.approx(sum(counts))
    assert all(weight == 0 for weight, n in zip(weights, counts, strict=True) if not n)
