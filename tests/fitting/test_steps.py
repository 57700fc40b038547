"""Rows of steps: one a step, the loss of all of its batches, and the same after a stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from fledged.fitting.losses import Tally
from fledged.fitting.steps import NO_STEPS, as_table, steps_of
from fledged.products import Dataset, Run


def tally(loss: float, weight: float) -> Tally:
    return Tally(torch.tensor(loss), torch.tensor(0), torch.tensor(weight), 1)


def test_the_loss_of_a_step_is_the_mean_over_all_of_its_photos() -> None:
    rows = steps_of(3, [([tally(6.0, 2.0)], 0.1), ([tally(1.0, 1.0), tally(9.0, 3.0)], 0.2)])
    assert rows.dtype == torch.float32
    assert torch.equal(rows, torch.tensor([[3, 3.0, 0.1], [3, 2.5, 0.2]]))


def test_a_table_counts_steps_from_one_and_writes_no_more_digits_than_there_are() -> None:
    rows = torch.cat([NO_STEPS, steps_of(1, [([tally(1.0, 8.0)], 0.001)]), steps_of(2, [([tally(0.3, 1.0)], 0.002)])])
    text = as_table(rows).write_csv()
    assert text.splitlines() == ["step,epoch,loss,learning_rate", "1,1,0.125,0.001", "2,2,0.3,0.002"]
    assert as_table(NO_STEPS).is_empty()


def test_a_run_has_a_row_a_step(run: Run, dataset: Dataset) -> None:
    steps, settings = run.steps(), run.settings
    per_epoch = -(-dataset.n_in("train") // settings.batch_size)
    assert steps["step"].to_list() == list(range(1, per_epoch * run.n_epochs + 1))
    assert steps["epoch"].to_list() == [epoch for epoch in range(1, run.n_epochs + 1) for _ in range(per_epoch)]
    assert steps["learning_rate"].max() == pytest.approx(settings.learning_rate)
    last = steps.group_by("epoch", maintain_order=True).last()["learning_rate"]
    assert last.to_list() == pytest.approx(run.history()["learning_rate"].to_list(), rel=1e-6)
    means: dict[str, Any] = dict(steps.group_by("epoch").agg(pl.col("loss").mean()).iter_rows())
    losses = dict(run.history().select("epoch", "train_loss").iter_rows())
    # Batches of an epoch have nearly the same size, so the mean of their means is nearly that of the photos.
    assert means == pytest.approx(losses, rel=0.1)


def test_a_run_of_before_steps_were_kept_has_none(run: Run, tmp_path: Path) -> None:
    older = run.model_copy()
    older.at(tmp_path)
    assert older.steps().is_empty()
