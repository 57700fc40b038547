"""The training loop, in view: one generator, on top of accelerate."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from fledged.errors import ConfigError
from fledged.fitting import ema, judging, losses, optimizers, schedules
from fledged.fitting.batches import Batches
from fledged.fitting.compiling import Compiled
from fledged.fitting.convolutions import quick
from fledged.fitting.epochs import Epoch, Progress, StateDict
from fledged.fitting.judging import Judged
from fledged.fitting.losses import Mix, Tally
from fledged.fitting.plan import Plan
from fledged.fitting.processes import gathered
from fledged.fitting.refusals import diverged, memory_told
from fledged.fitting.schedules import Length
from fledged.fitting.steps import steps_of
from fledged.fitting.whole_batch import seen_whole
from fledged.networks.model import BATCH_NORMS, to_training

_FIGURES = ("loss", "right", "weight")  # of a tally, beside the number of its photos


def fit(
    model: nn.Module,
    train: Batches,
    val: Batches,
    plan: Plan,
    so_far: Progress,
    accelerator: Accelerator,
    told: Callable[[int, int], None] = lambda epoch, n_steps: None,
) -> Iterator[Progress]:
    """Where training stands after each epoch; `model` is trained in place, from `so_far` on (empty: from the start).

    An epoch is decided by the plan and by the Progress before it alone, so whatever is stopped between two epochs goes
    on as if it had not been. `told` is called after each step, with the epoch and how many of its steps there were.
    Raises TrainingError when the loss is no longer a number, or when memory runs out.
    """
    settings = plan.optimize
    is_part = train.part.of > 1
    # Without DistributedDataParallel where one process has it all, even if others wait for it.
    model = accelerator.prepare_model(model, evaluation_mode=not is_part)
    bare = accelerator.unwrap_model(model)
    # Validation goes by the network itself. Of several processes none compiles: their parts of a batch differ in size.
    learner = Compiled(model, plan.batch_size) if settings.compile and not is_part else model
    # Not prepared: accelerate's wrapper scales for fp16, which is not on offer, and costs a tenth of a head's time.
    optimizer = optimizers.make(bare, settings, plan.learning_rate, plan.backbone_rate)
    val_weights_C = torch.tensor(plan.class_weights, device=accelerator.device) if plan.balance != "none" else None
    if so_far.history:
        bare.load_state_dict(so_far.model)
        optimizers.load_state(optimizer, so_far.optimizer)
    # In the weights' own memory layout, by which convolutions round: a checkpoint does not keep it.
    layouts = bare.state_dict()
    average = {name: torch.empty_like(layouts[name]).copy_(tensor) for name, tensor in so_far.average.items()}
    length = Length(plan.epochs, -(-train.per_epoch // settings.accumulate))
    while len(so_far.history) < plan.epochs and not schedules.is_over(so_far.val_losses, settings.patience):
        start_s, epoch = time.monotonic(), len(so_far.history) + 1
        torch.manual_seed(plan.seed * 100_003 + epoch)  # dropout; so an epoch can be repeated from a checkpoint
        to_training(model, plan.keeps_statistics)
        taken: list[tuple[list[Tally], float]] = []  # of each step, with its rate
        for index, batches in enumerate(batches_of(train, epoch, learner, plan, accelerator)):
            number = (epoch - 1) * length.per_epoch + index
            rate = plan.learning_rate * schedules.share(settings.schedule, number, length, so_far.val_losses)
            optimizers.set_rate(optimizer, rate)
            taken.append((step(learner, optimizer, batches, plan, accelerator), rate))
            if settings.ema_decay:
                ema.update(average, bare.state_dict(), settings.ema_decay, number)
            told(epoch, index + 1)
        taken = _of_all(taken) if is_part else taken
        train_loss, train_accuracy = Tally.total([tally for tallies, _ in taken for tally in tallies])
        with memory_told(plan):
            judged = validate(bare, average, val, val_weights_C, accelerator)
        if not (math.isfinite(train_loss) and math.isfinite(judged.loss)):
            raise diverged(epoch, plan)
        done = Epoch(
            epoch=epoch,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            val_loss=judged.loss,
            val_loss_error=judged.loss_error,
            val_accuracy=judged.accuracy,
            learning_rate=rate,
            seconds=time.monotonic() - start_s,
        )
        with memory_told(plan):
            so_far = _after(done, so_far, bare, optimizer, average, steps_of(epoch, taken))
        yield so_far


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batches: Sequence[Mix], plan: Plan, accelerator: Accelerator
) -> list[Tally]:
    """Move the weights once, by the gradients of all these batches: as one batch with all of their photos would.

    Raises TrainingError when memory runs out.
    """
    weights_C = torch.tensor(plan.class_weights, device=accelerator.device) if plan.balance == "weights" else None
    n_photos = sum(len(batch.all_N) for batch in batches)
    # The gradients of several processes are averaged, where those of their photos are to be added up.
    weight = losses.weight_of(torch.cat([batch.all_N for batch in batches]), weights_C) / _n_processes(model)
    tallies = []
    for number, batch in enumerate(batches, start=1):
        with memory_told(plan), _averaged(model, number == len(batches)):
            with seen_whole(batch), quick(accelerator.unwrap_model(model), batch.inputs, accelerator):
                logits_NC = model(batch.inputs)
            logits_NC = logits_NC if batch.whole_N is None else logits_NC[: len(batch.labels_N)]
            loss = losses.loss_of(logits_NC, batch, plan.loss, weights_C) / weight
            if plan.optimize.l1:
                share = plan.optimize.l1 * len(batch.labels_N) / n_photos * _n_processes(model)
                loss = loss + share * losses.l1_penalty(model.parameters())
            accelerator.backward(loss)
        tallies.append(losses.tally(logits_NC.detach(), batch, weights_C))
    with memory_told(plan):  # an optimizer's first step takes room for all that it will remember
        if plan.optimize.clip_norm:
            accelerator.clip_grad_norm_(model.parameters(), plan.optimize.clip_norm)
        optimizer.step()
    optimizer.zero_grad()
    return tallies


def batches_of(
    train: Batches, epoch: int, model: nn.Module, plan: Plan, accelerator: Accelerator
) -> Iterator[tuple[Mix, ...]]:
    """The batches of an epoch where the network is, mixed as the plan says, as many at a time as go into a step."""
    standardises = any(isinstance(module, BATCH_NORMS) and module.training for module in model.modules())
    if standardises and plan.batch_size == 1:
        raise ConfigError(
            "BatchNorm cannot standardise a single photo", where="train.batch_size", remedy="Take --batch-size 2."
        )

    def mixed() -> Iterator[Mix]:
        for number, (inputs, labels) in enumerate(train(epoch)):
            if standardises and len(labels) == 1 and number:
                continue  # a last one that is left over; the next epoch's order brings it in
            inputs, labels = inputs.to(accelerator.device), labels.to(accelerator.device)
            yield losses.mixed(inputs, labels, plan.loss, (plan.seed, epoch, number)).part_of(train.part)

    batches = mixed()
    while together := tuple(itertools.islice(batches, plan.optimize.accumulate)):
        yield together


@torch.inference_mode()
def validate(
    bare: nn.Module, average: StateDict, val: Batches, weights_C: torch.Tensor | None, accelerator: Accelerator
) -> Judged:
    """How the network answers, by the averaged weights where there are some."""
    bare.eval()
    sums = []
    for inputs, labels in val(1):
        batch = Mix(inputs.to(accelerator.device), labels.to(accelerator.device)).part_of(val.part)
        logits_NC = torch.func.functional_call(bare, average, batch.inputs) if average else bare(batch.inputs)
        sums.append(judging.sums(logits_NC[: len(batch.labels_N)].float(), batch.labels_N, weights_C))
    of_all = torch.stack(sums).sum(0)
    return judging.judged(of_all if val.part.of == 1 else gathered(of_all))


def _n_processes(model: nn.Module) -> int:
    """That train this network together."""
    return distributed.get_world_size() if isinstance(model, DistributedDataParallel) else 1


def _averaged(model: nn.Module, now: bool) -> contextlib.AbstractContextManager[object]:
    """In here gradients are averaged over processes, or not yet: once a step is enough."""
    return contextlib.nullcontext() if now or not isinstance(model, DistributedDataParallel) else model.no_sync()


def _of_all(taken: Sequence[tuple[list[Tally], float]]) -> list[tuple[list[Tally], float]]:
    """The figures of each step over all processes."""
    own = []
    for of_step, _ in taken:
        loss, right, weight = (torch.stack([getattr(tally, name) for tally in of_step]).sum() for name in _FIGURES)
        n_photos = sum(tally.n_photos for tally in of_step)
        own.append(torch.stack([loss.double(), right.double(), weight.double(), loss.new_tensor(n_photos).double()]))
    total = gathered(torch.stack(own))
    return [
        ([Tally(loss, right, weight, int(n))], rate)
        for (loss, right, weight, n), (_, rate) in zip(total, taken, strict=True)
    ]


def _after(
    epoch: Epoch,
    before: Progress,
    bare: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: StateDict,
    steps: torch.Tensor,
) -> Progress:
    model = _copy(bare.state_dict())
    averaged = _copy(average)
    state, history = optimizers.state_of(optimizer), (*before.history, epoch)
    progress = Progress(model, state, averaged, before.best, history, torch.cat([before.steps, steps]))
    return replace(progress, best=averaged or model) if progress.best_epoch is epoch else progress


def _copy(state: StateDict) -> StateDict:
    return {name: tensor.detach().clone() for name, tensor in state.items()}
