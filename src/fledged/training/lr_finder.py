"""The learning-rate range test (L. Smith, Cyclical Learning Rates for Training Neural Networks, 2017).

A few training steps are taken, each with a higher rate than the one before, on training photos alone: where the loss
falls, the rate is fit to learn by; where it runs away, it is not. Then all is put back as it was.
"""

from __future__ import annotations

import bisect
import contextlib
import copy
import itertools
import math
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from fledged import progress
from fledged.config import resolve
from fledged.errors import TrainingError
from fledged.fitting import allocator, optimizers
from fledged.fitting.loop import batches_of, step
from fledged.fitting.losses import Tally
from fledged.fitting.plan import Plan
from fledged.fitting.processes import joined
from fledged.networks.model import to_training
from fledged.products import Dataset, RangeTest
from fledged.settings.training import FindLrConfig, TrainConfig
from fledged.training.concrete import identity
from fledged.training.job import Job, Pupil, job_of, pupil_of, untrained
from fledged.training.range_page import PAGE, render
from fledged.workspace import DEFAULT, Workspace, now, product_id
from fledged.writing import write_bytes

_FEWEST = 10  # steps that a suggestion can be made of


@dataclass(frozen=True, slots=True)
class Curve:
    """The loss at each rate that was tried."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    ran_away: bool


@allocator.kept()
def find_lr(
    dataset: Dataset | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    train: Mapping[str, object] | None = None,
    **settings: object,
) -> RangeTest:
    """Which learning rates suit a training with the settings `train` (fields of `config.TrainConfig`), and its page.

    Only training photos are used, also to fit the head that fine-tuning starts from: neither val nor test takes part.
    `settings` are the fields of `config.FindLrConfig`. Raises TrainingError if the loss runs away at once.
    """
    workspace = Workspace(work)
    asked, tried = resolve(TrainConfig, train or {}), resolve(FindLrConfig, settings)

    def make() -> RangeTest:
        with workspace.lock():
            return _range_test(job_of(dataset, asked, workspace, report or progress.default()), tried)

    with joined() as group:
        return group.product(RangeTest, workspace, make)


def _range_test(job: Job, tried: FindLrConfig) -> RangeTest:
    """The one that is there already, or one that is made now."""
    start_s, workspace = time.monotonic(), job.workspace
    made_from = {name: of for name, of in identity(job.config).items() if name not in ("learning_rate", "epochs")}
    made_id = product_id(RangeTest, job.dataset.id, made_from, job.source.sha256, tried)
    earlier = workspace.find(RangeTest, made_id)
    if earlier is not None:
        return earlier
    curve = _curve(job, tried)
    made = RangeTest(
        id=made_id,
        version=RangeTest.format_version,
        created_at=now(),
        seconds=time.monotonic() - start_s,
        dataset_id=job.dataset.id,
        settings=job.config,
        tried=tried,
        rates=curve.rates,
        losses=curve.losses,
        smoothed=curve.smoothed,
        ran_away=curve.ran_away,
        valley=valley(curve.rates, curve.smoothed),
        steepest=steepest(curve.rates, curve.smoothed),
        fits_already=fits_already(curve.losses, math.log(len(job.dataset.classes))),
        usual=optimizers.usual(job.config.mode, job.config.optimize.optimizer).learning_rate,
    )
    write_bytes(workspace.folder(RangeTest.kind, made_id) / PAGE, render(made, job.dataset).encode())
    return workspace.save(made)


def _curve(job: Job, tried: FindLrConfig) -> Curve:
    plan = replace(job.plan, judged_on="train")
    backbone, model = untrained(job)
    pupil = pupil_of(job, plan, backbone, model, has_begun=False)
    optimizer = optimizers.make(pupil.module, plan.optimize, plan.learning_rate, plan.backbone_rate)
    return range_test(pupil, optimizer, plan, tried, job.report)


def range_test(
    pupil: Pupil, optimizer: torch.optim.Optimizer, plan: Plan, tried: FindLrConfig, report: progress.Report
) -> Curve:
    """The losses of training steps at growing rates; module, optimizer and random state are then what they were.

    Raises TrainingError if the loss runs away before there is anything to see.
    """
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    ran_away = False
    guessing = math.log(max(1, len(plan.class_weights)))
    with _put_back(pupil.module, optimizer):
        torch.manual_seed(plan.seed)
        module = pupil.accelerator.prepare_model(pupil.module, evaluation_mode=True)
        to_training(module, plan.keeps_statistics)
        epochs = (batches_of(pupil.batches[0], n, module, plan, pupil.accelerator) for n in itertools.count(1))
        mean = 0.0
        for rate, batches in zip(rates_of(tried), itertools.chain.from_iterable(epochs), strict=False):
            optimizers.set_rate(optimizer, rate)
            loss, _ = Tally.total(step(module, optimizer, batches, plan, pupil.accelerator))
            mean = tried.smoothing * mean + (1 - tried.smoothing) * loss
            unbiased = mean / (1 - tried.smoothing ** (len(losses) + 1))
            # Near nothing, four times the lowest is nothing too: the loss must also be above where it began, and, where
            # that was near nothing as well since the head fits already, above that of guessing.
            limit = max(tried.runaway * min(smoothed), smoothed[0], guessing) if smoothed else math.inf
            ran_away = not math.isfinite(unbiased) or unbiased > limit
            if math.isfinite(unbiased):
                rates.append(rate)
                losses.append(loss)
                smoothed.append(unbiased)
            if ran_away:
                break
            report("Trying learning rates", len(rates), tried.steps)
        report("Trying learning rates", tried.steps, tried.steps)
        pupil.accelerator.unwrap_model(module, keep_fp32_wrapper=False)
    if len(rates) < _FEWEST:
        at = rates_of(tried)[len(rates)]
        # By equal differences, all but the first rates are near the highest.
        lower = (
            f"End lower: --high {at / 2:.1g}"
            if tried.growth == "linear"
            else f"Begin lower: --low {tried.low / 1000:g}"
        )
        raise TrainingError(f"The loss ran away after {len(rates)} steps, at a rate of {at:.1e}", remedy=lower)
    return Curve(tuple(rates), tuple(losses), tuple(smoothed), ran_away)


def rates_of(tried: FindLrConfig) -> list[float]:
    """The rates, from low to high."""
    shares = [number / (tried.steps - 1) for number in range(tried.steps)]
    if tried.growth == "linear":
        return [tried.low + (tried.high - tried.low) * share for share in shares]
    return [tried.low * (tried.high / tried.low) ** share for share in shares]


def valley(rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """The rate in the middle of the longest fall: of the longest subsequence of losses each below the one before."""
    ends: list[int] = []  # of the falls of each length, the one that ends highest
    before: list[int] = []  # of each step, the step before it in its fall
    for number, loss in enumerate(smoothed):
        place = bisect.bisect_left([-smoothed[end] for end in ends], -loss)
        before.append(ends[place - 1] if place else -1)
        ends[place : place + 1] = [number]
    first = last = ends[-1]
    while before[first] >= 0:
        first = before[first]
    return rates[(first + last) // 2]


def fits_already(losses: Sequence[float], guessing: float) -> bool:
    """Whether the first tenth of the steps has, on average, less than half the loss of guessing.

    As where blocks are trained after a head: what falls then is by chance. Of MobileNetV2 on two lakes such losses were
    0 to 0.2 of guessing's, others 1, and the middle of such falls a tenth to a hundredth of the rates that suit.
    """
    return statistics.fmean(losses[: max(1, len(losses) // 10)]) < guessing / 2


def steepest(rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """The rate where the loss falls fastest by the logarithm of the rate, before it is at its lowest.

    The first tenth is left out: there the smoothed loss is the mean of a few batches.
    """
    first = len(rates) // 10
    last = max(int(np.argmin(smoothed)), first + 2)
    slopes = np.gradient(np.asarray(smoothed), np.log(rates))
    return rates[first + int(np.argmin(slopes[first : last + 1]))]


@contextlib.contextmanager
def _put_back(module: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """What happens in here to the module's tensors and modes, the optimizer and torch's random numbers is undone."""
    named = [*module.named_parameters(), *module.named_buffers()]
    tensors = {name: tensor.detach().clone() for name, tensor in named}
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    modes = {name: part.training for name, part in module.named_modules()}
    state = copy.deepcopy(optimizer.state_dict())
    optimizer.zero_grad(set_to_none=True)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        with torch.no_grad():
            for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
                tensor.copy_(tensors[name])
        for name, parameter in module.named_parameters():
            parameter.grad = gradients[name]
        for name, part in module.named_modules():
            part.training = modes[name]
        optimizer.load_state_dict(state)
