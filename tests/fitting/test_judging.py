"""How often right, how large the loss at the temperature that suits it, and how far that may be off by chance."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fledged.fitting.judging import TEMPERATURES, Judged, judged, sums


def answers(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are right more often than not, and labels of three classes, one of them rare."""
    random = torch.Generator().manual_seed(seed)
    labels_N = torch.multinomial(torch.tensor([0.5, 0.4, 0.1]), n, replacement=True, generator=random)
    return torch.randn(n, 3, generator=random) + 2 * nn.functional.one_hot(labels_N, 3), labels_N


WEIGHTS = [None, (0.5, 1.0, 3.0)]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_loss_is_the_lowest_of_all_temperatures(weights: tuple[float, ...] | None) -> None:
    logits_NC, labels_N = answers(500)
    weights_C = None if weights is None else torch.tensor(weights)
    lowest = min(nn.functional.cross_entropy(logits_NC / heat, labels_N, weights_C).item() for heat in TEMPERATURES)
    told = judged(sums(logits_NC, labels_N, weights_C))
    assert told.loss == pytest.approx(lowest, rel=1e-6)
    assert told.accuracy == pytest.approx((logits_NC.argmax(1) == labels_N).double().mean().item())


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_error_is_how_far_losses_of_other_photos_lie_apart(weights: tuple[float, ...] | None) -> None:
    logits_NC, labels_N = answers(60_000)
    weights_C = None if weights is None else torch.tensor(weights)
    told = [
        judged(sums(logits_NC[n : n + 300], labels_N[n : n + 300], weights_C)) for n in range(0, len(labels_N), 300)
    ]
    spread = statistics.stdev(one.loss for one in told)
    assert statistics.fmean(one.loss_error for one in told) == pytest.approx(spread, rel=0.15)


@given(cut=st.integers(1, 99), weights=st.sampled_from(WEIGHTS))
def test_batches_add_up(cut: int, weights: tuple[float, ...] | None) -> None:
    logits_NC, labels_N = answers(100)
    weights_C = None if weights is None else torch.tensor(weights)
    parts = [sums(logits_NC[part], labels_N[part], weights_C) for part in (slice(cut), slice(cut, None))]
    assert judged(parts[0] + parts[1]) == pytest.approx(judged(sums(logits_NC, labels_N, weights_C)))


def test_a_single_photo_tells_nothing_of_chance() -> None:
    assert judged(sums(*answers(1))).loss_error == 0


def test_photos_that_count_nothing_have_no_loss() -> None:
    told = judged(sums(torch.zeros(4, 2), torch.ones(4, dtype=torch.int64), torch.tensor([1.0, 0.0])))
    assert math.isnan(told.loss)
    assert told.accuracy == 0


def test_a_loss_that_is_no_number_is_told_as_such() -> None:
    logits_NC, labels_N = answers(10)
    assert math.isnan(judged(sums(logits_NC * math.nan, labels_N)).loss)


def test_who_is_right_more_often_is_not_judged_worse_for_being_too_sure() -> None:
    """Until it is told how sure it may be, which every run is."""

    def of(n_right: int, sureness: float) -> tuple[float, Judged]:
        """The loss at its own temperature, and what is judged."""
        right_N, labels_N = torch.arange(100) < n_right, torch.zeros(100, dtype=torch.int64)
        logits_NC = sureness * torch.stack([right_N, ~right_N], 1).float()
        return nn.functional.cross_entropy(logits_NC, labels_N).item(), judged(sums(logits_NC, labels_N))

    (fair_loss, fair), (sure_loss, sure) = of(90, math.log(9)), of(98, 40.0)
    assert (fair.accuracy, sure.accuracy) == (0.9, 0.98)
    assert fair_loss < sure_loss
    assert sure.loss < fair.loss
    assert fair.loss == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1), abs=1e-6)
    assert sure.loss == pytest.approx(-0.98 * math.log(0.98) - 0.02 * math.log(0.02), rel=0.02)
