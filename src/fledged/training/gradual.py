"""Gradual unfreezing: a head first, then ever more of the last blocks, each stage at a rate that a range test suggests.

The stages are runs like any other, each beginning with the weights of the best one before it: they can be stopped,
resumed and found again. (J. Howard and S. Ruder, Universal Language Model Fine-tuning for Text Classification, 2018.)
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import cast

from fledged import progress
from fledged.config import overlaid
from fledged.products import Dataset, Run
from fledged.settings.training import GradualConfig
from fledged.training.lr_finder import find_lr

_LOG = logging.getLogger("fledged")


def run_stages(
    train: Callable[..., Run],
    dataset: Dataset | str | None,
    settings: dict[str, object],
    plan: GradualConfig,
    work: str | os.PathLike[str],
    report: progress.Report | None,
) -> Run:
    """The stage with the lowest validation loss; each stage is told in a line.

    `train` is the door, and `settings` are those of each stage, but for what the stages decide. It ends when the target
    is met, when `patience` stages have brought nothing better, or after the last.
    """
    best: Run | None = None
    in_vain = 0
    # What leaves the blocks that no stage trains is computed once, and each stage's activations from there.
    cache = overlaid({"blocks": plan.stages[-1]}, cast(Mapping[str, object], settings.get("cache", {})))
    for number, unfreeze in enumerate(plan.stages, start=1):
        of_stage = settings | {"mode": "finetune", "unfreeze": unfreeze, "cache": cache}
        if best is not None:
            of_stage |= {"start": best.id}
        suggested = find_lr(dataset, work=work, report=report, train=of_stage).valley
        run = train(dataset, work=work, report=report, **of_stage, learning_rate=suggested)
        is_better = best is None or run.val_loss < best.val_loss
        in_vain = 0 if is_better else in_vain + 1
        best = run if is_better or best is None else best
        is_met = best.val_accuracy >= plan.target_accuracy
        blocks = {0: "", 1: "the last block and "}.get(unfreeze, f"the last {unfreeze} blocks and ")
        verdict = "better" if is_better else f"no better than run {best.id}"
        over = "; the target is met" if is_met else "; that is enough" if in_vain >= plan.patience else ""
        _LOG.info(
            "Stage %d of %d: %sthe head, learning rate %.1e: validation accuracy %.1f%%, loss %.4f, %s%s (run %s)",
            *(number, len(plan.stages), blocks, suggested, run.val_accuracy * 100, run.val_loss, verdict, over, run.id),
        )
        if run.interrupted or over:
            break
    if best is None:
        raise ValueError("a plan has a stage at least")
    return best
