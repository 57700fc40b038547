"""What an epoch brought, in a line while training goes on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from fledged import progress
from fledged.fitting.epochs import Epoch
from fledged.products import Dataset
from fledged.training.run_page import duration

_EVERY_S = 2.0  # a head's epochs are over sooner: history.csv has all of them
_LAST = 5  # epochs whose median says how long one takes


def teller(dataset: Dataset, n_epochs: int, report: progress.Report) -> Callable[[Sequence[Epoch]], None]:
    """What is to be called with the history after each epoch, and says a line of it where enough time has passed."""
    told_s = time.monotonic()
    n_photos = dataset.n_in("train") + dataset.n_in("val")

    def tell(history: Sequence[Epoch]) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= _EVERY_S:
            told_s = time.monotonic()
            progress.tell(line_of(history, n_photos, n_epochs), report)

    return tell


def within(n_epochs: int, n_steps: int, report: progress.Report) -> Callable[[int, int], None]:
    """What is to be called after each step, with its epoch and number; it reports where an epoch takes long."""
    at, start_s = 0, 0.0

    def told(epoch: int, n_done: int) -> None:
        nonlocal at, start_s
        if epoch != at:
            at, start_s = epoch, time.monotonic()
        elif time.monotonic() - start_s >= _EVERY_S:
            report(f"Epoch {epoch} of {n_epochs}", n_done, n_steps)

    return told


def line_of(history: Sequence[Epoch], n_photos: int, n_epochs: int) -> str:
    """Loss and accuracy of the last epoch, which took this many photos, its pace, and what is left."""
    last = history[-1]
    is_lowest = all(last.val_loss < epoch.val_loss for epoch in history[:-1])
    left_s = (n_epochs - len(history)) * statistics.median(epoch.seconds for epoch in history[-_LAST:])
    return (
        f"Epoch {len(history)} of {n_epochs}: "
        f"training loss {last.train_loss:.4f}, {last.train_accuracy:.1%} right; "
        f"validation loss {last.val_loss:.4f}{' (lowest so far)' if is_lowest else ''}, {last.val_accuracy:.1%} right; "
        f"{n_photos / max(last.seconds, 1e-3):,.0f} photos/s" + (f", about {duration(left_s)} left" if left_s else "")
    )
