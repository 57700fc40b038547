"""What came of a search for settings. Imports neither torch nor Optuna: the terminal's words are made of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from fledged.records import Record


class Trial(Record):
    """Settings that were tried; the loss is the mean over folds of each fold's best epoch."""

    settings: dict[str, float | int]  # by their names below `train`, such as optimize.weight_decay
    val_loss: float | None  # None where it was given up: it could not become the best, or it diverged
    seconds: float


class Tuning(Record):
    """All trials in their order, the usual settings first."""

    dataset_id: str
    folder: str  # with the journal, and fledged.toml with the best settings
    train: dict[str, Any]  # what was given and not searched for
    n_folds: int
    trials: tuple[Trial, ...]
    interrupted: bool  # there are fewer than were asked for; the same command goes on

    @property
    def usual(self) -> Trial:
        """The settings that are taken without a search."""
        return self.trials[0]

    @property
    def best(self) -> Trial:
        """Of the lowest loss; ties go to the earlier one."""
        return min(
            (t for t in self.trials if t.val_loss is not None), key=lambda t: t.val_loss or 0.0, default=self.usual
        )

    @property
    def flags(self) -> str:
        """The best settings for the shell, with those that were given."""
        settings = {**dict(flat(self.train)), **self.best.settings}
        return " ".join(f"--set {shlex.quote(f'train.{name}={_text(value)}')}" for name, value in settings.items())


def flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Settings in tables by their names with dots."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        elif value is not None:
            yield before + name, value


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their names with dots, in tables."""
    tables: dict[str, Any] = {}
    for name, value in settings.items():
        *path, last = name.split(".")
        table = tables
        for part in path:
            table = table.setdefault(part, {})
        table[last] = value
    return tables


def tuning_lines(done: Tuning) -> list[str]:
    """The best settings beside the usual ones, where they are, and the command that trains with them."""
    best, usual = done.best, done.usual
    given_up = sum(trial.val_loss is None for trial in done.trials)
    stopped = ", stopped before all were tried; the same command goes on" if done.interrupted else ""
    n = len(done.trials)
    told = [
        f"Tuned    {n} trial{'' if n == 1 else 's'} ({given_up} given up) on {done.n_folds} folds of train and "
        f"val{stopped}",
        f"Usual settings: validation loss {_loss(usual)}. "
        + ("None was better" if best is usual else f"Best: {_loss(best)}, the least of {n}, so it flatters a little")
        + "; the test split was not opened",
    ]
    told += [f"  train.{name} = {value}" for name, value in best.settings.items()]
    return [*told, f"Saved {done.folder}/fledged.toml    Next: fledged train {done.dataset_id} {done.flags}"]


def _loss(trial: Trial) -> str:
    return "none" if trial.val_loss is None else f"{trial.val_loss:.4f}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
