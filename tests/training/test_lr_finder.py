"""The range test sees training photos alone, leaves everything as it was, and suggests what the curve says."""

from __future__ import annotations

import itertools
import math
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fledged.errors import ConfigError, TrainingError
from fledged.fitting import optimizers
from fledged.fitting.batches import FeatureBatches
from fledged.fitting.losses import Tally
from fledged.fitting.plan import Plan
from fledged.fitting.precision import accelerator
from fledged.products import Dataset, RangeTest
from fledged.progress import silent
from fledged.settings.training import FindLrConfig, LossConfig, OptimizeConfig
from fledged.training import lr_finder
from fledged.training.job import Pupil
from fledged.training.lr_finder import Curve, find_lr, fits_already, range_test, rates_of, steepest, valley
from fledged.workspace import Workspace
from tests.tiny import TINY

SMALL: dict[str, Any] = TINY | {"input": {"size_px": 64}, "views": 1}
TRIED = FindLrConfig(low=1e-5, high=10, steps=60)


class Normed(nn.Module):
    """With running statistics, dropout and a frozen part, all of which a step would change or must not."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.norm, self.dropout, self.linear = nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 3)

    def forward(self, features_NF: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(self.dropout(self.norm(self.frozen(features_NF))))
        return logits


def pupil(module: nn.Module, precision: Any = "fp32", n: int = 90) -> Pupil:
    torch.manual_seed(0)
    labels = torch.arange(n) % 3
    features = torch.randn(1, n, 6) + 3 * nn.functional.one_hot(labels, 6)
    batches = FeatureBatches(features, labels, 16, 3, shuffle=True)
    return Pupil(module, (batches, batches), accelerator(precision, on_cpu=True))


def plan(**how: Any) -> Plan:
    settings = OptimizeConfig(**{"weight_decay": 0.0, "precision": "fp32"} | how)
    return Plan(epochs=1, batch_size=16, learning_rate=0.05, seed=3, optimize=settings)


def tried(module: nn.Module, of: Plan, config: FindLrConfig = TRIED) -> Curve:
    learner = pupil(module, of.optimize.precision)
    return range_test(learner, optimizers.make(module, of.optimize, 0.1, 0.1), of, config, silent)


@pytest.mark.parametrize("how", [{}, {"optimizer": "sgd"}, {"precision": "bf16"}], ids=str)
def test_all_is_put_back_to_the_last_bit(how: dict[str, Any]) -> None:
    module, of = Normed(), plan(**how)
    optimizer = optimizers.make(module, of.optimize, 0.1, 0.1)
    learner = pupil(module, of.optimize.precision)
    inputs, labels = next(learner.batches[0](1))
    nn.functional.cross_entropy(module(inputs), labels).backward()  # type: ignore[no-untyped-call]
    optimizer.step()  # so that there is a state, and a gradient that is left
    module.norm.eval()
    torch.manual_seed(17)
    expected_next = torch.rand(3)
    torch.manual_seed(17)
    random.seed(5)
    np.random.seed(5)
    tensors = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    gradients = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
    state = {name: tensor.clone() for name, tensor in optimizers.state_of(optimizer).items()}
    rates, others = [group["lr"] for group in optimizer.param_groups], (random.getstate(), np.random.get_state()[1][2])  # type: ignore[index]
    forward = module.forward

    curve = range_test(learner, optimizer, of, TRIED, silent)

    assert len(curve.rates) > 10
    after = module.state_dict()
    assert tensors.keys() == after.keys()
    assert all(torch.equal(tensors[name], after[name]) for name in tensors)
    assert all(torch.equal(gradients[n], p.grad) for n, p in module.named_parameters() if p.grad is not None)
    assert gradients.keys() == {name for name, p in module.named_parameters() if p.grad is not None}
    now = optimizers.state_of(optimizer)
    assert now.keys() == state.keys()
    assert all(torch.equal(state[name], now[name]) for name in state)
    assert [group["lr"] for group in optimizer.param_groups] == rates
    assert (module.training, module.norm.training, module.dropout.training) == (True, False, True)
    assert module.forward == forward
    assert torch.equal(torch.rand(3), expected_next)
    assert (random.getstate(), np.random.get_state()[1][2]) == others  # type: ignore[index]


def test_what_went_wrong_is_put_back_too() -> None:
    module, of = Normed(), plan()
    before = module.linear.weight.detach().clone()

    def interrupted(step: str, done: int, total: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        range_test(pupil(module), optimizers.make(module, of.optimize, 0.1, 0.1), of, TRIED, interrupted)
    assert torch.equal(module.linear.weight, before)


def test_it_falls_where_it_learns_and_stops_where_it_runs_away() -> None:
    curve = tried(nn.Linear(6, 3), plan(optimizer="sgd"), FindLrConfig(low=1e-5, high=1000, steps=120))
    assert curve.ran_away
    assert len(curve.rates) < 120
    assert curve.smoothed[-1] > max(4 * min(curve.smoothed), curve.smoothed[0])
    assert min(curve.smoothed) < 0.5 * curve.smoothed[0]
    suggested = valley(curve.rates, curve.smoothed)
    assert curve.rates[0] < suggested < curve.rates[int(np.argmin(curve.smoothed))]


@pytest.mark.parametrize(("end", "ran_away"), [(0.3, False), (3.0, True)])
def test_a_loss_near_nothing_that_rises_to_little_has_not_run_away(
    monkeypatch: pytest.MonkeyPatch, end: float, ran_away: bool
) -> None:
    losses = iter([*np.geomspace(0.7, 0.001, 30), *np.geomspace(0.001, end, 30)])

    def scripted(*_: object) -> list[Tally]:
        return [Tally(torch.tensor(float(next(losses))), torch.tensor(1), torch.tensor(1.0), 1)]

    monkeypatch.setattr(lr_finder, "step", scripted)
    curve = tried(nn.Linear(6, 3), plan(), FindLrConfig(low=1e-5, high=10, steps=60, smoothing=0.3))
    assert curve.ran_away is ran_away
    assert (len(curve.rates) == 60) is not ran_away
    assert max(curve.smoothed[30:]) > 4 * min(curve.smoothed)


def test_batches_that_differ_by_much_where_the_head_fits_already_are_no_running_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of last blocks, which begin with such a head, and a few photos."""
    losses = itertools.cycle([0.01, 0.02, 0.3, 0.5, 0.2, 0.05])

    def scripted(*_: object) -> list[Tally]:
        return [Tally(torch.tensor(next(losses)), torch.tensor(1), torch.tensor(1.0), 1)]

    monkeypatch.setattr(lr_finder, "step", scripted)
    of = replace(plan(), class_weights=(1.0, 1.0, 1.0))
    curve = tried(nn.Linear(6, 3), of, FindLrConfig(low=1e-6, high=10, steps=60, smoothing=0.5))
    assert not curve.ran_away
    assert max(curve.smoothed) > max(4 * min(curve.smoothed), curve.smoothed[0])


def test_the_smoothed_loss_is_corrected_for_its_start() -> None:
    curve = tried(nn.Linear(6, 3), plan(), FindLrConfig(low=1e-9, high=1e-8, steps=30, smoothing=0.9))
    assert curve.smoothed[0] == pytest.approx(curve.losses[0])
    weights = [0.9 ** (9 - i) for i in range(10)]
    expected = sum(w * x for w, x in zip(weights, curve.losses, strict=False)) / sum(weights)
    assert curve.smoothed[9] == pytest.approx(expected)


def test_more_steps_than_an_epoch_has_go_on_with_the_next() -> None:
    curve = tried(nn.Linear(6, 3), plan(), FindLrConfig(low=1e-9, high=1e-8, steps=100))
    assert len(curve.rates) == 100 > 2 * 6
    assert not curve.ran_away


def test_gradients_are_added_up_as_in_training() -> None:
    one = tried(nn.Linear(6, 3), plan(accumulate=6), FindLrConfig(low=1e-9, high=1e-8, steps=20))
    assert max(one.losses) - min(one.losses) < 1e-5  # every step sees all 90 photos


def test_a_loss_that_runs_away_at_once_is_an_error_with_advice() -> None:
    with pytest.raises(TrainingError, match=r"ran away after \d steps.*--low"):
        tried(nn.Linear(6, 3), plan(optimizer="sgd"), FindLrConfig(low=500, high=1000, steps=20))


def test_by_equal_differences_the_advice_is_a_lower_end() -> None:
    config = FindLrConfig(low=1e-6, high=1000, steps=20, growth="linear")
    with pytest.raises(TrainingError, match=r"ran away after \d steps.*--high \d+"):
        tried(nn.Linear(6, 3), plan(optimizer="sgd"), config)


@given(low=st.floats(1e-9, 1), factor=st.floats(1.01, 1e6), steps=st.integers(20, 300), linear=st.booleans())
def test_rates_go_from_low_to_high_by_factors_or_by_differences(
    low: float, factor: float, steps: int, linear: bool
) -> None:
    high = min(low * factor, 1000.0)
    if high <= low:
        return
    rates = rates_of(FindLrConfig(low=low, high=high, steps=steps, growth="linear" if linear else "exponential"))
    assert len(rates) == steps
    assert rates[0] == pytest.approx(low)
    assert rates[-1] == pytest.approx(high)
    changes = np.diff(rates) if linear else np.diff(np.log(rates))
    assert changes.tolist() == pytest.approx([changes.mean()] * (steps - 1), rel=1e-3, abs=1e-12)


def test_the_valley_is_the_middle_of_the_longest_fall_and_the_steepest_where_it_falls_fastest() -> None:
    rates = [10 ** (number / 10 - 4) for number in range(41)]
    flat, fall, rise = [1.0] * 10, [1 - 0.03 * n for n in range(1, 21)], [0.5 + 0.2 * n for n in range(11)]
    smoothed = flat + fall + rise
    assert valley(rates, smoothed) == pytest.approx(rates[20], rel=0.3)
    smoothed[17:] = [value - 0.2 for value in smoothed[17:]]
    assert steepest(rates, smoothed) in rates[15:19]


@given(smoothed=st.lists(st.floats(0.001, 10), min_size=10, max_size=60))
def test_suggestions_are_rates_that_were_tried(smoothed: list[float]) -> None:
    rates = [10 ** (number / 20 - 4) for number in range(len(smoothed))]
    assert valley(rates, smoothed) in rates
    assert steepest(rates, smoothed) in rates


@pytest.mark.parametrize(("first", "fits"), [(0.693, False), (0.35, False), (0.34, True), (0.02, True)])
def test_what_begins_below_half_of_guessing_fits_already(first: float, fits: bool) -> None:
    assert fits_already([first] * 6 + [5.0] * 54, math.log(2)) == fits


def longest_fall(values: list[float]) -> int:
    best: list[int] = []
    for i, value in enumerate(values):
        best.append(1 + max((best[j] for j in range(i) if values[j] > value), default=0))
    return max(best)


@given(smoothed=st.lists(st.integers(0, 9).map(float), min_size=1, max_size=30))
def test_the_longest_fall_is_found(smoothed: list[float]) -> None:
    """Against the plain search: a fall of its length fits between the ends that the valley is the middle of."""
    rates = list(map(float, range(len(smoothed))))
    middle = valley(rates, smoothed)
    length = longest_fall(smoothed)
    spans = [
        (first, last)
        for first in range(len(smoothed))
        for last in range(first, len(smoothed))
        if (first + last) // 2 == middle and longest_fall(smoothed[first : last + 1]) == length
    ]
    assert spans


@pytest.fixture
def own_work(work: Path, tmp_path: Path) -> Path:
    shutil.copytree(work, tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize("mode", ["transfer", "finetune"])
def test_neither_val_nor_test_is_opened(own_work: Path, mode: str) -> None:
    dataset = Workspace(own_work).load(Dataset)
    for shard in [*dataset.shards("val"), *dataset.shards("test")]:
        shard.unlink()
    settings = SMALL | {"mode": mode, "batch_size": 4}
    made = find_lr(dataset, work=own_work, report=silent, train=settings, steps=20, high=1e-2)
    assert made.rates == tuple(sorted(made.rates))
    assert made.settings.mode == mode
    assert made.rates[0] < made.valley < made.rates[-1]
    assert made.usual == 1e-3
    assert made.suggested == (made.usual if made.fits_already else made.valley)


def test_the_same_question_is_answered_from_the_first_time(own_work: Path) -> None:
    def ask(**settings: Any) -> RangeTest:
        return find_lr(work=own_work, report=silent, train=SMALL | settings, steps=30)

    made = ask()
    assert ask() == made
    assert ask(learning_rate=0.5).id == made.id  # rates are tried whatever the rate would be
    assert ask(optimize={"optimizer": "sgd"}).id != made.id
    assert Workspace(own_work).load(RangeTest, made.id) == made


def test_settings_that_make_no_sense_are_refused(own_work: Path) -> None:
    with pytest.raises(ConfigError, match=r"find_lr\.high.*above low"):
        find_lr(work=own_work, low=0.1, high=0.01)
    with pytest.raises(ConfigError, match=r"no setting `stesp`.*steps"):
        find_lr(work=own_work, stesp=3)
    with pytest.raises(ConfigError, match="CutMix"):
        find_lr(work=own_work, train={"loss": {"cutmix": 1.0}, "input": {"size_px": 64}})


def test_mixed_photos_are_tried_mixed() -> None:
    of = replace(plan(), loss=LossConfig(mixup=1.0))
    assert tried(nn.Linear(6, 3), of).losses != tried(nn.Linear(6, 3), plan()).losses
