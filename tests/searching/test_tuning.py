"""What came of a search, in words and flags."""

from __future__ import annotations

from typing import Any

from fledged.searching.tuning import Trial, Tuning, flat, nested, tuning_lines


def tuning(*losses: float | None, **changes: Any) -> Tuning:
    trials = tuple(
        Trial(settings={"learning_rate": 0.001 * (n + 1), "head.hidden": 256}, val_loss=loss, seconds=1)
        for n, loss in enumerate(losses)
    )
    given = {"backbone": "timm:x y", "loss": {"mixup": 0.2}, "mode": None}
    return Tuning(dataset_id="d1", folder="w/t", train=given, n_folds=3, trials=trials, interrupted=False, **changes)


def test_the_best_is_of_the_lowest_loss_and_the_earlier_of_equals() -> None:
    assert tuning(0.5, None, 0.3, 0.3).best.settings["learning_rate"] == 0.003
    assert tuning(None).best.val_loss is None


def test_the_next_command_has_all_that_was_given_and_found() -> None:
    lines = tuning_lines(tuning(0.5, None, 0.3))
    assert lines[0] == "Tuned    3 trials (1 given up) on 3 folds of train and val"
    assert "Usual settings: validation loss 0.5000. Best: 0.3000, the least of 3" in lines[1]
    assert "None was better; " in tuning_lines(tuning(0.5, None, 0.7))[1]
    assert lines[-1] == (
        "Saved w/t/fledged.toml    Next: fledged train d1 --set 'train.backbone=timm:x y' "
        "--set train.loss.mixup=0.2 --set train.learning_rate=0.003 --set train.head.hidden=256"
    )


def test_names_with_dots_are_tables() -> None:
    settings = {"a": 1, "b.c": 2, "b.d.e": 3}
    assert dict(flat(nested(settings))) == settings
