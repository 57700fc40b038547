"""The average follows the weights by its decay, forgets its start early on, and copies what is no measure."""

from __future__ import annotations

import pytest
import torch

from fledged.fitting import ema


def state(value: float, count: int) -> dict[str, torch.Tensor]:
    return {"w": torch.full((3,), value), "n": torch.tensor(count)}


def test_it_starts_as_a_copy_and_moves_by_the_formula() -> None:
    average: dict[str, torch.Tensor] = {}
    first = state(1.0, 1)
    ema.update(average, first, 0.9, 0)
    first["w"] += 100  # the average has its own tensors
    assert average["w"].tolist() == [1.0] * 3
    ema.update(average, state(2.0, 2), 0.9, 1)  # decay (1 + 1) / (10 + 1)
    assert average["w"].tolist() == pytest.approx([1 * 2 / 11 + 2 * 9 / 11] * 3)
    assert average["n"].item() == 2
    before = average["w"][0].item()
    ema.update(average, state(5.0, 3), 0.9, 1000)
    assert average["w"][0].item() == pytest.approx(0.9 * before + 0.1 * 5)


def test_it_comes_to_where_the_weights_stay() -> None:
    average: dict[str, torch.Tensor] = {}
    for step in range(400):
        ema.update(average, state(0.0 if step < 5 else 3.0, step), 0.98, step)
    assert average["w"].tolist() == pytest.approx([3.0] * 3, abs=0.01)
