"""Gradual unfreezing: a head first, then ever more of the last blocks, each stage at a rate that a range test suggests.

The stages are runs like any other, each beginning with the weights of the best one before it: they can be stopped,
resumed and found again. (J. Howard and S. Ruder, Universal Language Model Fine-tuning for Text Classification, 2018.)
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Mapping
from typing import cast

from fledged import progress
from fledged.config import overlaid, resolve
from fledged.errors import ConfigError
from fledged.networks import backbones
from fledged.networks.blocks import chain
from fledged.networks.weights import locate
from fledged.products import Dataset, Run
from fledged.settings.training import CacheConfig, GradualConfig, TrainConfig
from fledged.training.lr_finder import find_lr
from fledged.training.stages import Stage, Stages, trained

_LOG = logging.getLogger("fledged")

_ENOUGH = "that is enough"


def run_stages(
    train: Callable[..., Run],
    dataset: Dataset | str | None,
    settings: dict[str, object],
    plan: GradualConfig,
    work: str | os.PathLike[str],
    report: progress.Report | None,
) -> Stages:
    """What was done; each stage is told in a line. The best one meets the target, or has the lowest validation loss.

    `train` is the door, and `settings` are those of each stage, but for what the stages decide. It ends when the target
    is met, when `patience` stages in a row were worse by more than chance, or after the last. Raises ConfigError,
    before anything is trained, if a stage that was asked for trains more blocks than there are.
    """
    plan = _fitting(plan, settings)
    _LOG.info(
        "Plan: %s; each by a learning rate range test, then training. It ends at a validation accuracy of %g%%, after "
        "%s worse than the best by more than chance, or with the last",
        ", then ".join(map(trained, plan.stages)),
        plan.target_accuracy * 100,
        "a stage that is" if plan.patience == 1 else f"{plan.patience} stages that are",
    )
    done: list[Stage] = []
    best: Stage | None = None
    ended = "it was the last stage of the plan"
    # What leaves the blocks that no stage trains is computed once, and each stage's activations from there.
    given = settings.get("cache", {})
    given = given.model_dump(exclude_unset=True) if isinstance(given, CacheConfig) else given
    cache = overlaid({"blocks": plan.stages[-1]}, cast(Mapping[str, object], given))
    for number, unfreeze in enumerate(plan.stages, start=1):
        of_stage = settings | {"mode": "finetune", "unfreeze": unfreeze, "cache": cache}
        if best is not None:
            of_stage |= {"start": best.run_id}
        suggested = find_lr(dataset, work=work, report=report, train=of_stage).suggested
        run = train(dataset, work=work, report=report, **of_stage, learning_rate=suggested)
        is_met = run.val_accuracy >= plan.target_accuracy
        stage = Stage(
            run_id=run.id,
            unfreeze=unfreeze,
            learning_rate=suggested,
            val_accuracy=run.val_accuracy,
            val_loss=run.val_loss,
            val_loss_error=run.val_loss_error,
            # What was asked for is reached, though another may be surer of what it has right.
            is_better=is_met or best is None or run.val_loss < best.val_loss,
        )
        verdict = "better"
        if best is not None and not stage.is_better:
            by_chance = "" if stage.is_worse_than(best) else ", which may be chance"
            verdict = f"no better than run {best.run_id}{by_chance}"
        done.append(stage)
        best = stage if best is None or stage.is_better else best
        over = "the target is met" if is_met else _ENOUGH if _in_vain(done, best) >= plan.patience else ""
        _LOG.info(
            "Stage %d of %d: %s, learning rate %.1e: validation accuracy %.1f%%, loss %.4f, %s%s (run %s)",
            *(number, len(plan.stages), stage.trains, suggested, run.val_accuracy * 100, run.val_loss),
            *(verdict, f"; {over}" if over else "", run.id),
        )
        if run.interrupted or over:
            n_in_vain = _in_vain(done, best)
            which = "a stage was" if n_in_vain == 1 else f"{n_in_vain} stages in a row were"
            enough = f"{which} worse by more than chance"
            ended = {"": "it was stopped", _ENOUGH: enough}.get(over, over)
            break
    return Stages(stages=tuple(done), n_planned=len(plan.stages), target_accuracy=plan.target_accuracy, ended=ended)


def _fitting(plan: GradualConfig, settings: dict[str, object]) -> GradualConfig:
    """The plan for this network: the usual one's stages, as far as there are blocks for them."""
    config = resolve(TrainConfig, settings)
    if config.unfreeze >= 0:
        raise ConfigError(
            f"`train.unfreeze` is {config.unfreeze}, but gradual unfreezing has a plan of its own",
            remedy=f"Leave --unfreeze out, or say --set 'train.gradual.stages=[0, {max(1, config.unfreeze)}]'.",
        )
    backbone = backbones.build(locate(config))
    blocks = chain(backbone.name, backbone.module)
    if "stages" in plan.model_fields_set and plan.stages[-1] > len(blocks):
        raise ConfigError(
            f"`train.gradual.stages` ends with {plan.stages[-1]}; {backbone.name} has {len(blocks)} blocks",
            remedy="Take fewer, or leave it out.",
        )
    return plan.model_copy(update={"stages": tuple(n for n in plan.stages if n <= len(blocks))})


def _in_vain(done: list[Stage], best: Stage) -> int:
    """How many of the last stages were worse than the best one by more than chance.

    One that is as good says nothing against the next: more blocks may need to learn before any of it shows.
    """
    return sum(1 for _ in itertools.takewhile(lambda stage: stage.is_worse_than(best), reversed(done)))
