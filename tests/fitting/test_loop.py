"""The loop learns, repeats itself bit by bit, resumes bit by bit, and says when it diverges."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace
from typing import Any, Literal, get_args

import pytest
import torch
from torch import nn

from fledged.errors import ConfigError, TrainingError
from fledged.fitting.batches import FeatureBatches
from fledged.fitting.epochs import Progress
from fledged.fitting.judging import TEMPERATURES
from fledged.fitting.loop import fit
from fledged.fitting.plan import Plan, class_weights
from fledged.fitting.precision import accelerator
from fledged.fitting.schedules import Length, share
from fledged.networks.model import Head
from fledged.settings.training import LossConfig, OptimizeConfig

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
    for progress in fit(Head(6, 3, dropout=0.2), train, val, plan, progress, accelerator("fp32", on_cpu=True)):  # noqa: B020
        if len(progress.history) == stop_after:
            break
    return progress


def planned(optimize: dict[str, Any] | None = None, loss: dict[str, Any] | None = None, **how: Any) -> Plan:
    settings = PLAN.optimize.model_copy(update=optimize or {})
    return replace(PLAN, optimize=settings, loss=LossConfig(**(loss or {})), **how)


def figures(progress: Progress) -> list[tuple[float, ...]]:
    return [
        (e.epoch, e.train_loss, e.train_accuracy, e.val_loss, e.val_accuracy, e.learning_rate) for e in progress.history
    ]


def test_it_learns_and_an_epoch_that_is_as_good_as_the_best_is_kept() -> None:
    progress = run(plan=replace(PLAN, epochs=30))
    assert progress.history[-1].val_accuracy > 0.9
    lowest = min(progress.history, key=lambda epoch: epoch.val_loss)
    assert lowest.epoch <= progress.best_epoch.epoch
    assert progress.best_epoch.val_loss <= lowest.val_loss + lowest.val_loss_error


def test_the_same_seed_gives_the_same_bits() -> None:
    one, two = run(), run()
    assert figures(one) == figures(two)
    assert all(torch.equal(one.best[key], two.best[key]) for key in one.best)


RESUMED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "adamw and one cycle": ({}, {}),
    "sgd, plateau and EMA": ({"optimizer": "sgd", "schedule": "plateau", "ema_decay": 0.9}, {}),
    "Nesterov, cosine and mixup": ({"optimizer": "sgd_nesterov", "schedule": "cosine"}, {"mixup": 0.4}),
    "cyclic, clipped, accumulated": ({"schedule": "cyclic", "clip_norm": 0.1, "accumulate": 2}, {"focal_gamma": 1}),
    "patience": ({"schedule": "constant", "patience": 2}, {"label_smoothing": 0.2}),
}


@pytest.mark.parametrize("stop_after", [1, 4, 7])
@pytest.mark.parametrize("how", RESUMED, ids=RESUMED.keys())
def test_resumed_training_ends_in_the_same_bits(stop_after: int, how: str) -> None:
    plan = planned(*RESUMED[how], learning_rate=0.3 if "plateau" in how else 0.05, epochs=14 if "plateau" in how else 8)
    whole, part = run(plan=plan), run(plan=plan, stop_after=stop_after)
    resumed = run(part, plan)
    assert figures(resumed) == figures(whole)
    for name in ("model", "optimizer", "average", "best"):
        ours, theirs = getattr(resumed, name), getattr(whole, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    if "plateau" in how:
        assert len({epoch.learning_rate for epoch in whole.history}) > 1  # so there was a state to keep


def test_the_rate_in_the_history_is_that_of_the_last_step() -> None:
    for schedule in ("one_cycle", "step"):
        rates = [epoch.learning_rate for epoch in run(plan=planned({"schedule": schedule})).history]
        steps = 5  # 80 photos, 16 a batch
        ends = [(epoch * steps - 1) for epoch in range(1, 9)]
        assert rates == [0.05 * share(schedule, step, Length(8, steps)) for step in ends]
        assert len(set(rates)) > 1


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
    *_, progress = fit(head, train, val, plan, Progress(), accelerator("fp32", on_cpu=True))
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
    logits = head.eval()(features[0]).detach()

    def at(temperature: float) -> float:
        losses = torch.nn.functional.cross_entropy(logits / temperature, labels, reduction="none")
        return float((losses[labels == 0].mean() + losses[labels == 1].mean()) / 2)

    assert progress.best_epoch.val_loss == pytest.approx(min(map(at, TEMPERATURES)), abs=1e-5)


def blobs(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    return torch.randn(1, n, 6, generator=random) + 2 * nn.functional.one_hot(labels, 6), labels


def trained(plan: Plan, module: nn.Module, n: int = 90) -> Progress:
    train = FeatureBatches(*blobs(n), plan.batch_size, plan.seed, shuffle=True)
    val = FeatureBatches(*blobs(60, seed=1), 60, plan.seed, shuffle=False)
    *_, progress = fit(module, train, val, plan, Progress(), accelerator(plan.optimize.precision, on_cpu=True))
    return progress


ACCUMULATED: list[tuple[Balance, dict[str, Any]]] = [
    ("none", {}),
    ("weights", {"optimizer": "sgd"}),
    ("none", {"optimizer": "sgd_nesterov", "l1": 0.01, "clip_norm": 0.05}),
]


@pytest.mark.parametrize(("balance", "how"), ACCUMULATED)
def test_batches_added_up_are_one_large_batch(balance: Balance, how: dict[str, Any]) -> None:
    """Also the last step of an epoch, of fewer photos: 97 are three batches of 32, and a single photo."""
    weights = (0.5, 1.0, 1.5)
    large = planned(how, batch_size=64, balance=balance, class_weights=weights)
    small = planned(how | {"accumulate": 4}, batch_size=16, balance=balance, class_weights=weights)
    one, other = trained(large, Head(6, 3), 97), trained(small, Head(6, 3), 97)
    for key, tensor in one.model.items():
        torch.testing.assert_close(other.model[key], tensor, atol=1e-5, rtol=1e-4)
    assert one.history[-1].train_loss == pytest.approx(other.history[-1].train_loss, rel=1e-4)


def test_clipped_gradients_move_the_weights_no_further_than_their_length() -> None:
    how = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "clip_norm": 1e-3}
    progress = trained(planned(how, epochs=1, batch_size=90), Head(6, 3))
    moved = torch.cat([progress.model[name].flatten() for name in ("linear.weight", "linear.bias")])  # from 0
    assert float(moved.norm()) == pytest.approx(0.05 * 1e-3, rel=1e-3)


def test_the_l1_penalty_makes_weights_small() -> None:
    sizes = [float(trained(planned({"l1": l1}), Head(6, 3)).model["linear.weight"].abs().sum()) for l1 in (0, 0.05)]
    assert sizes[1] < 0.8 * sizes[0]


def test_the_average_is_what_is_judged_and_kept() -> None:
    progress = trained(planned({"ema_decay": 0.99}, epochs=4), Head(6, 3))
    assert not torch.equal(progress.average["linear.weight"], progress.model["linear.weight"])
    head = Head(6, 3)
    head.load_state_dict(progress.best)
    features, labels = blobs(60, seed=1)
    with torch.no_grad():
        logits = head.eval()(features[0])
    loss = min(nn.functional.cross_entropy(logits / temperature, labels).item() for temperature in TEMPERATURES)
    assert progress.best_epoch.val_loss == pytest.approx(loss, rel=1e-5)


def test_it_stops_when_patience_is_at_its_end_and_says_so_by_its_history() -> None:
    plan = planned({"patience": 3, "schedule": "constant"}, learning_rate=2.0, epochs=500)
    progress = trained(plan, Head(6, 3))
    assert len(progress.history) == progress.best_epoch.epoch + 3 < 500
    train, val = data()
    assert list(fit(Head(6, 3), train, val, plan, progress, accelerator("fp32", on_cpu=True))) == []  # over is over


@pytest.mark.parametrize("loss", [{"label_smoothing": 0.3}, {"focal_gamma": 2}, {"mixup": 0.4}])
def test_every_loss_learns_and_reports_plain_cross_entropy(loss: dict[str, float]) -> None:
    progress = trained(planned({}, loss, epochs=20), Head(6, 3))
    first, last = progress.history[0], progress.history[-1]
    assert last.val_accuracy > 0.8
    assert last.train_loss < first.train_loss
    head = Head(6, 3)
    head.load_state_dict(progress.model)
    features, labels = blobs(90)
    with torch.no_grad():
        plain = nn.functional.cross_entropy(head.eval()(features[0]), labels).item()
    if "mixup" not in loss:  # of mixed photos another thing is asked
        assert last.train_loss == pytest.approx(plain, rel=0.1)


def test_bf16_computes_in_bf16_and_keeps_weights_in_fp32() -> None:
    seen: list[torch.dtype] = []

    class Watched(Head):
        def forward(self, features_NF: torch.Tensor) -> torch.Tensor:
            logits = super().forward(features_NF)
            seen.append(logits.dtype)
            return logits

    progress = trained(planned({"precision": "bf16"}, epochs=12), Watched(6, 3))
    assert set(seen) == {torch.bfloat16}
    assert progress.model["linear.weight"].dtype == torch.float32
    assert progress.history[-1].val_accuracy > 0.8


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, features_NF: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(self.norm(features_NF))
        return logits


def test_a_last_batch_of_one_is_left_out_only_where_batch_norm_cannot_have_it() -> None:
    counted = []
    for module in (Normed(), Head(6, 3)):
        calls: list[int] = []
        module.register_forward_hook(lambda m, args, out, calls=calls: calls.append(len(out)) if m.training else None)
        trained(planned(epochs=1, batch_size=16), module, n=33)
        counted.append(calls)
    assert counted == [[16, 16], [16, 16, 1]]


def test_batches_of_one_are_an_error_for_batch_norm_and_fine_without() -> None:
    with pytest.raises(ConfigError, match=r"single photo.*--batch-size 2"):
        trained(planned(epochs=1, batch_size=1), Normed())
    assert len(trained(planned(epochs=1, batch_size=1), Head(6, 3), n=12).history) == 1


REFUSALS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError(),
]


class Large(Head):
    """A head whose answers take too much memory, while it learns or while it is judged."""

    def __init__(self, error: Exception, while_training: bool) -> None:
        super().__init__(6, 3)
        self.error, self.while_training = error, while_training

    def forward(self, features_NF: torch.Tensor) -> torch.Tensor:
        if self.training == self.while_training:
            raise self.error
        return super().forward(features_NF)


@pytest.mark.parametrize("while_training", [True, False], ids=["training", "validating"])
@pytest.mark.parametrize("error", REFUSALS)
def test_where_memory_runs_out_a_way_to_learn_the_same_is_named(error: Exception, while_training: bool) -> None:
    with pytest.raises(TrainingError, match=r"--batch-size 8; with --set train\.optimize\.accumulate=2 a step"):
        trained(planned(), Large(error, while_training))


@pytest.mark.parametrize("error", REFUSALS)
def test_an_optimizer_that_finds_no_room_is_told_as_well(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*_: object) -> None:
        raise error

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(TrainingError, match=r"Memory ran out\. Halve the batch"):
        trained(planned(), Head(6, 3))


def test_a_batch_of_one_is_not_to_be_halved() -> None:
    with pytest.raises(TrainingError, match=r"Memory ran out\. Train fewer blocks") as told:
        trained(planned(batch_size=1), Large(MemoryError(), True))
    assert "--batch-size" not in str(told.value)


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"):
        trained(planned(), Large(RuntimeError("shapes differ"), True))


class Deep(nn.Module):
    """A layer before the head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.embed, self.head = nn.Linear(6, 6), Head(6, 3)

    def forward(self, features_NF: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.embed(features_NF))
        return logits


@pytest.mark.parametrize("backbone_rate", [0.0, 0.01, 1.0])
def test_layers_before_the_head_move_at_their_share_of_its_rate(backbone_rate: float) -> None:
    plan = planned({"optimizer": "sgd", "schedule": "constant"}, epochs=1, backbone_rate=backbone_rate)
    plan = replace(plan, optimize=plan.optimize.model_copy(update={"weight_decay": 0.0}))
    torch.manual_seed(2)
    nn.init.normal_((start := Deep()).head.linear.weight)  # else no gradient comes by
    moved, whole = (
        trained(each, copy.deepcopy(start), n=12).model["embed.weight"] - start.embed.weight.detach()
        for each in (plan, replace(plan, backbone_rate=1.0))
    )
    assert whole.abs().max() > 1e-4
    torch.testing.assert_close(moved, backbone_rate * whole, rtol=1e-3, atol=1e-6)


def test_what_drops_out_is_drawn_anew_in_each_epoch() -> None:
    seeds: list[int] = []
    head = Head(6, 3, dropout=0.2)
    head.register_forward_hook(lambda module, *_: seeds.append(torch.initial_seed()) if module.training else None)
    trained(planned(epochs=4), head)
    assert len(set(seeds)) == 4
