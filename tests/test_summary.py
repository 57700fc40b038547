"""What the terminal says of a dataset: what was left out, what is uneven, and what a leak would have claimed."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from fledged import summary
from fledged.measuring.comparison import Comparison, Contender, Pair
from fledged.products import SPLITS, BackboneInfo, Dataset, Figure, Leak, RangeTest, Report, Run, Snapshot
from fledged.workspace import now


def lines(train: dict[str, int], test: dict[str, int], val: dict[str, int], leak: Leak | None = None) -> str:
    dataset = Dataset(
        id="da7a5e7",
        version=Dataset.format_version,
        created_at=now(),
        snapshot_id="5a95407",
        review_id="4e71e3",
        lake="lake",
        classes=("hawk", "owl"),
        photos_by_split=dict(zip(SPLITS, (train, val, test), strict=True)),
        n_groups=50,
        n_leaks=0,
        left_out={"exact duplicate": 3},
        tied={"burst": 12},
        shorter_side_px=256,
        leak=leak,
    )
    dataset.at(Path("work"))
    return "\n".join(summary.lines(dataset))


def test_an_even_dataset_has_no_line_about_it() -> None:
    said = lines({"hawk": 30, "owl": 10}, {"hawk": 1, "owl": 1}, {"hawk": 1, "owl": 1})
    assert "Imbalance" not in said
    assert "No photo in" not in said
    assert "Left out 3: 3 exact duplicate" in said
    assert "Kept together: 12 burst" in said


def test_uneven_and_missing_classes_are_told() -> None:
    said = lines({"hawk": 30, "owl": 1}, {"hawk": 4, "owl": 1}, {"hawk": 4, "owl": 0})
    assert "Imbalance: 38 hawk and 2 owl. To learn them alike: fledged train --set train.balance=weights" in said
    assert "No photo in val: owl" in said
    assert "No photo in test" not in said


def test_one_class_is_one() -> None:
    facts: dict[str, Any] = {"id": "5a95407", "n_photos": 20, "labels": {"hawk": 20}, "n_unreadable": 0, "n_skipped": 0}
    snapshot = Snapshot.model_construct(**facts)
    snapshot.at(Path("work"))
    assert "20 photos, 1 class (20 hawk)" in "\n".join(summary.lines(snapshot))


def test_what_a_random_split_would_have_claimed_is_one_line_with_intervals() -> None:
    leak = Leak(
        random=Figure(value=0.985, low=0.98, high=0.99, n=3104),
        grouped=Figure(value=0.977, low=0.97, high=0.983, n=3104),
        difference=Figure(value=0.008, low=0.004, high=0.012, n=3104),
        backbone="mobilenet_v2",
        weights_sha256="",
        n_groups=1935,
        n_folds=5,
        n_seeds=3,
    )
    said = lines({"hawk": 3, "owl": 3}, {"hawk": 1, "owl": 1}, {"hawk": 1, "owl": 1}, leak)
    assert (
        "A random split would have claimed 98.5% (98.0% to 99.0%); without leaks it is 97.7% (97.0% to 98.3%), "
        "a difference of 0.8 points (0.4 to 1.2)"
    ) in said


def test_a_run_that_has_learned_nothing_says_what_to_do() -> None:
    def told(val_loss: float) -> str:
        backbone: dict[str, Any] = {"name": "resnet18"}
        facts: dict[str, Any] = {
            "id": "4e90",
            "classes": ("a", "b", "c"),
            "backbone": BackboneInfo.model_construct(**backbone),
            "mode": "finetune",
            "n_epochs": 2,
            "best_epoch": 1,
            "val_accuracy": 0.5,
            "val_loss": val_loss,
            "interrupted": False,
        }
        run = Run.model_construct(**facts)
        run.at(Path("work"))
        return "\n".join(summary.lines(run))

    assert "no better than guessing on the validation photos (loss 1.10, guessing 1.10)" in told(1.0986)
    assert "fledged find-lr" in told(1.2e7)
    assert "guessing" not in told(1.09)


def test_of_many_pairs_those_with_the_best_are_told() -> None:
    figure = Figure(value=0.9, low=0.8, high=0.95, n=40)
    facts: dict[str, Any] = {"backbone": "", "mode": "", "settings": ""}
    facts |= dict.fromkeys(("megabytes", "n_parameters", "n_trained", "gflops", "train_s", "ms_a_photo"))

    def told(n_models: int) -> list[str]:
        names = [f"run:{number}" for number in range(n_models)]
        models = [Contender.model_construct(name=name, accuracy=figure, macro_f1=0.9, **facts) for name in names]
        pairs = [
            Pair(first=one, second=other, n=40, only_first=1, only_second=2, p_value=1)
            for one, other in itertools.combinations(names, 2)
        ]
        return summary.comparison_lines(Comparison(source="test", contenders=tuple(models), pairs=tuple(pairs)))

    few = [line for line in told(5) if " against " in line]
    assert len(few) == 10
    assert few[0].startswith("run:0 against run:1: 1 photo right with the first alone, 2 with")
    many = told(6)
    assert [line.split(" against ")[0] for line in many if " against " in line] == ["run:0"] * 5
    assert "10 more pairs, without the best, are on the page" in many


def test_a_report_on_photos_that_the_model_knows_says_so() -> None:
    figure = Figure(value=0.98, low=0.94, high=1.0, n=120)
    report = Report(
        id="4e90",
        version=Report.format_version,
        created_at=now(),
        subject="run:4e90",
        source="new",
        classes=("hawk", "owl"),
        accuracy=figure,
        balanced_accuracy=0.98,
        macro_f1=0.98,
        log_loss=0.1,
        by_class=(),
        confusion=(),
        n_unreadable=0,
        folders_without_class={},
        n_seen=101,
    )
    report.at(Path("work"))
    assert "This flatters: 101 of the photos were in the model's own train or val split" in summary.lines(report)
    assert not any("flatters" in line for line in summary.lines(report.model_copy(update={"n_seen": 0})))
    unreadable = [summary.lines(report.model_copy(update={"n_unreadable": n})) for n in (1, 2)]
    assert "1 photo could not be read; predictions.parquet says why" in unreadable[0]
    assert "2 photos could not be read; predictions.parquet says why" in unreadable[1]


@pytest.mark.parametrize(
    ("smoothed", "ran_away", "is_told"),
    [((1.38, 1.39, 1.37), False, True), ((1.38, 0.9, 1.37), False, False), ((1.38, 1.39, 1.4), True, False)],
)
def test_a_range_test_in_which_nothing_is_seen_says_so(
    smoothed: tuple[float, ...], ran_away: bool, is_told: bool, tmp_path: Path
) -> None:
    facts: dict[str, Any] = {"smoothed": smoothed, "rates": (1e-10, 3e-10, 1e-9), "ran_away": ran_away}
    made = RangeTest.model_construct(**facts)
    made.at(tmp_path)
    told = "\n".join(summary._details(made))
    assert ("much the same at all of these rates" in told) == is_told
    assert ("--low 1e-09 --high 1e-06" in told) == is_told
