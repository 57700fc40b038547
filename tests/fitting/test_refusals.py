"""What ends a training says what would not."""

from __future__ import annotations

import pytest
import torch

from fledged.errors import TrainingError
from fledged.fitting.plan import Plan
from fledged.fitting.refusals import diverged, memory_told


def plan(batch_size: int) -> Plan:
    return Plan(epochs=1, batch_size=batch_size, learning_rate=0.02, seed=0)


def test_a_loss_that_ran_away_asks_for_a_tenth_of_the_rate() -> None:
    assert "epoch 3" in str(diverged(3, plan(32)))
    assert "--learning-rate 0.002" in str(diverged(3, plan(32)))


@pytest.mark.parametrize(
    "refusal",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
    ids=["Python", "GPU", "CPU"],
)
def test_what_takes_less_memory_is_said(refusal: Exception) -> None:
    with (
        pytest.raises(TrainingError, match=r"--batch-size 16; with --set train\.optimize\.accumulate=2"),
        memory_told(plan(32)),
    ):
        raise refusal
    with pytest.raises(TrainingError, match=r"Memory ran out\. Train fewer blocks"), memory_told(plan(1)):
        raise refusal


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="another"), memory_told(plan(32)):
        raise RuntimeError("another")
