"""Which epoch is kept: the one with the lowest loss, or a later one that chance does not tell from it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.fitting.epochs import Epoch, Progress


def history(losses: Sequence[float], rates: Sequence[float], errors: Sequence[float]) -> tuple[Epoch, ...]:
    others = {"train_loss": 0.0, "train_accuracy": 0.0, "val_accuracy": 0.0, "seconds": 0.0}
    return tuple(
        Epoch(**others, epoch=number, val_loss=loss, learning_rate=rate, val_loss_error=error)
        for number, (loss, rate, error) in enumerate(zip(losses, rates, errors, strict=True), start=1)
    )


@pytest.mark.parametrize(
    ("losses", "kept"),
    [
        ([1.0], 1),
        ([1.0, 0.5, 0.55], 3),  # no worse than by chance
        ([1.0, 0.5, 0.7], 2),
        ([1.0, 0.5, 0.55, 0.61, 0.7], 3),
        ([0.5, 0.55, 0.42, 0.51], 4),
        ([0.5, 0.55, 0.42, 0.53], 3),
        ([0.5, 0.5], 2),
    ],
)
def test_the_last_epoch_that_chance_does_not_tell_from_the_lowest_is_kept(losses: list[float], kept: int) -> None:
    errors = [0.1] * len(losses)
    falling = [1 / number for number in range(1, len(losses) + 1)]
    assert Progress(history=history(losses, falling, errors)).best_epoch.epoch == kept
    lowest = losses.index(min(losses)) + 1
    assert Progress(history=history(losses, [0.1] * len(losses), errors)).best_epoch.epoch == lowest


def test_while_the_rate_goes_up_again_nothing_comes_to_rest() -> None:
    told = history([1.0, 0.5, 0.55, 0.56, 0.57], [0.3, 0.64, 0.27, 0.61, 0.27], [0.1] * 5)
    assert Progress(history=told[:4]).best_epoch.epoch == 3
    assert Progress(history=told).best_epoch.epoch == 5


@given(st.lists(st.tuples(st.floats(0, 10), st.sampled_from([0.1, 0.2, 0.3]), st.floats(0, 2)), min_size=1))
def test_what_is_kept_was_kept_when_its_epoch_was_over(figures: list[tuple[float, float, float]]) -> None:
    """So the weights of one epoch are enough: none that was passed over is wanted later."""
    epochs = history(*zip(*figures, strict=True))
    kept = 0
    for n in range(1, len(epochs) + 1):
        best = Progress(history=epochs[:n]).best_epoch.epoch
        assert best in (kept, n)
        kept = best
