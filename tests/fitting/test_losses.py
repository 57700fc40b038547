"""Losses agree with what they are known to be equal to; mixing is decided by its seed and knows what it mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fledged.errors import ConfigError
from fledged.fitting import losses
from fledged.fitting.losses import Mix, Tally
from fledged.settings.training import LossConfig

WEIGHTS = torch.tensor([0.5, 1.0, 2.5])


def logits(n: int = 40, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, 3, generator=random, requires_grad=True), torch.randint(0, 3, (n,), generator=random)


def test_log_softmax_with_negative_log_likelihood_is_cross_entropy() -> None:
    logits_NC, labels = logits()
    ours = losses.loss_of(logits_NC, Mix(logits_NC, labels), LossConfig())
    theirs = nn.functional.nll_loss(logits_NC.log_softmax(1), labels, reduction="sum")
    torch.testing.assert_close(ours, theirs)
    ours_grad, theirs_grad = (torch.autograd.grad(loss, logits_NC)[0] for loss in (ours, theirs))
    torch.testing.assert_close(ours_grad, theirs_grad)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_sum_over_its_weight_is_the_mean_that_torch_takes(smoothing: float) -> None:
    logits_NC, labels = logits()
    settings = LossConfig(label_smoothing=smoothing)
    ours = losses.loss_of(logits_NC, Mix(logits_NC, labels), settings, WEIGHTS) / losses.weight_of(labels, WEIGHTS)
    torch.testing.assert_close(ours, nn.functional.cross_entropy(logits_NC, labels, WEIGHTS, label_smoothing=smoothing))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_focal_loss_without_focus_is_cross_entropy(weights: torch.Tensor | None, smoothing: float) -> None:
    logits_NC, labels = logits()
    torch.testing.assert_close(
        losses.focal(logits_NC, labels, 0.0, smoothing, weights),
        nn.functional.cross_entropy(logits_NC, labels, weights, label_smoothing=smoothing, reduction="sum"),
    )


def test_focal_loss_counts_easy_photos_less_by_the_formula() -> None:
    logits_NC, labels = logits()
    p_N = logits_NC.softmax(1)[torch.arange(len(labels)), labels]
    expected = (-((1 - p_N) ** 2) * p_N.log()).sum()
    ours = losses.loss_of(logits_NC, Mix(logits_NC, labels), LossConfig(focal_gamma=2))
    torch.testing.assert_close(ours, expected)
    assert ours < losses.loss_of(logits_NC, Mix(logits_NC, labels), LossConfig())


@pytest.mark.parametrize("gamma", [0.1, 0.5, 2.0])
def test_focal_loss_has_a_gradient_where_a_photo_is_learned_to_the_last_bit(gamma: float) -> None:
    sure = torch.tensor([[200.0, -200.0, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(losses.focal(sure, torch.tensor([0]), gamma), sure)
    assert torch.isfinite(gradient).all()


def test_the_l1_penalty_is_of_trained_weights_alone() -> None:
    first, last = nn.Linear(3, 2), nn.Linear(2, 2)
    last.weight.requires_grad_(False)
    model = nn.Sequential(first, nn.BatchNorm1d(2), last)
    assert losses.l1_penalty(model.parameters()).item() == pytest.approx(first.weight.abs().sum().item())
    assert losses.l1_penalty([]).item() == 0


def mixed(inputs: torch.Tensor, labels: torch.Tensor, seed: tuple[int, ...] = (1, 2, 3), **how: Any) -> Mix:
    return losses.mixed(inputs, labels, LossConfig(**how), seed)


def test_without_mixing_the_batch_is_what_it_was() -> None:
    inputs, labels = torch.randn(8, 5), torch.arange(8)
    mix = mixed(inputs, labels)
    assert mix.inputs is inputs
    assert mix.others_N is None


@pytest.mark.parametrize("how", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_the_seed_alone_decides_how_a_batch_is_mixed(how: dict[str, Any]) -> None:
    photos, labels = torch.randint(0, 255, (8, 16, 16, 3), dtype=torch.uint8), torch.arange(8)
    torch.manual_seed(1)
    one = mixed(photos, labels, **how)
    torch.manual_seed(2)
    same, other = mixed(photos, labels, **how), mixed(photos, labels, (1, 2, 4), **how)
    assert torch.equal(one.inputs, same.inputs)
    assert not torch.equal(one.inputs, other.inputs)


def test_both_ways_of_mixing_take_their_turns() -> None:
    photos, labels = torch.randint(0, 255, (4, 8, 8, 3), dtype=torch.uint8), torch.arange(4)
    kinds = [mixed(photos, labels, (1, 1, n), mixup=0.4, cutmix=1.0).inputs.dtype for n in range(100)]
    assert 25 < kinds.count(torch.uint8) < 75


@given(alpha=st.floats(0.05, 5), seed=st.integers(0, 1000))
def test_mixup_blends_photos_by_the_share_of_their_labels(alpha: float, seed: int) -> None:
    features, labels = torch.randn(9, 6), torch.arange(9)
    mix = losses.mixup(features, labels, alpha, np.random.default_rng(seed))
    assert 0 <= mix.share <= 1
    assert mix.others_N is not None
    expected = mix.share * features[mix.labels_N] + (1 - mix.share) * features[mix.others_N]
    torch.testing.assert_close(mix.inputs, expected, atol=1e-5, rtol=1e-4)


@given(alpha=st.floats(0.05, 5), seed=st.integers(0, 1000), photos=st.booleans())
def test_cutmix_replaces_as_much_as_it_says(alpha: float, seed: int, photos: bool) -> None:
    n, height, width = 5, 12, 17
    shape, dtype = ((n, height, width, 3), torch.uint8) if photos else ((n, 3, height, width), torch.float32)
    batch = torch.arange(n).view(n, 1, 1, 1).expand(shape).to(dtype)  # photo i is all i
    before = batch.clone()
    mix = losses.cutmix(batch, torch.arange(n), alpha, np.random.default_rng(seed))
    assert torch.equal(batch, before)  # the batch itself, perhaps a cached one, is as it was
    assert mix.others_N is not None
    for photo in range(n):
        pixels = mix.inputs[photo]
        other = int(mix.others_N[photo])
        if other != photo:
            assert float((pixels == photo).float().mean()) == pytest.approx(mix.share, abs=1e-6)
        assert set(pixels.flatten().tolist()) <= {photo, other}


def test_cutmix_of_features_is_an_error_with_a_way_out() -> None:
    with pytest.raises(ConfigError, match=r"no height and width.*train\.loss\.mixup"):
        mixed(torch.randn(8, 5), torch.arange(8), cutmix=1.0)


def test_the_loss_of_a_mixture_is_the_mixture_of_losses() -> None:
    logits_NC, labels = logits()
    others = labels.roll(1)
    mix = Mix(logits_NC, labels, others, 0.3)
    soft = 0.3 * nn.functional.one_hot(labels, 3) + 0.7 * nn.functional.one_hot(others, 3)
    expected = nn.functional.cross_entropy(logits_NC, soft, reduction="sum")
    torch.testing.assert_close(losses.loss_of(logits_NC, mix, LossConfig()), expected)


def test_a_tally_is_plain_cross_entropy_and_counts_answers_by_their_share() -> None:
    answers = torch.tensor([[9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0]])
    labels, others = torch.tensor([0, 1, 0]), torch.tensor([1, 1, 1])
    tally = losses.tally(answers, Mix(answers, labels, others, 0.75))
    loss, accuracy = Tally.total([tally])
    assert accuracy == pytest.approx((0.75 + 1 + 0) / 3)
    soft = 0.75 * nn.functional.one_hot(labels, 3) + 0.25 * nn.functional.one_hot(others, 3)
    assert loss == pytest.approx(nn.functional.cross_entropy(answers, soft).item(), rel=1e-5)


def test_tallies_of_batches_make_the_figures_of_all_photos() -> None:
    logits_NC, labels = logits(50)
    parts = [losses.tally(logits_NC[at], Mix(logits_NC[at], labels[at]), WEIGHTS) for at in (slice(7), slice(7, 50))]
    loss, accuracy = Tally.total(parts)
    assert loss == pytest.approx(nn.functional.cross_entropy(logits_NC, labels, WEIGHTS).item(), rel=1e-5)
    assert accuracy == pytest.approx((logits_NC.argmax(1) == labels).float().mean().item())
