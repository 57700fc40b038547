"""Settings with nothing left to be decided, and which of them make one run another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fledged.errors import ConfigError
from fledged.products import Dataset
from fledged.progress import silent
from fledged.settings.training import TrainConfig
from fledged.training.concrete import concrete, identity, plan_of, remarks
from fledged.training.job import job_of
from fledged.workspace import Workspace


def of(dataset: Dataset, mode: str, **optimize: Any) -> TrainConfig:
    return concrete(TrainConfig.model_validate({"mode": mode, "optimize": optimize}), "mobilenet_v2", dataset)


@pytest.mark.parametrize(("mode", "usual"), [("transfer", 0.1), ("finetune", 0.1), ("scratch", 1.0)])
def test_the_backbone_learns_at_its_share_of_the_heads_rate(dataset: Dataset, mode: str, usual: float) -> None:
    assert plan_of(of(dataset, mode), dataset).backbone_rate == usual
    assert of(dataset, mode).optimize.backbone_rate == usual
    assert plan_of(of(dataset, mode, backbone_rate=0.3), dataset).backbone_rate == 0.3


def test_a_setting_that_came_later_makes_no_run_another_where_it_is_as_it_was(dataset: Dataset) -> None:
    usual = identity(of(dataset, "finetune"))
    assert "backbone_rate" not in usual["optimize"]
    assert identity(of(dataset, "finetune", backbone_rate=0.1)) == usual
    assert identity(of(dataset, "finetune", backbone_rate=1.0))["optimize"]["backbone_rate"] == 1.0


def test_from_scratch_no_blocks_are_left_frozen(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"`train\.unfreeze` is 3, but from scratch all .*--mode finetune"):
        concrete(TrainConfig(mode="scratch", unfreeze=3), "mobilenet_v2", dataset)


@pytest.mark.parametrize("unfreeze", [-1, 3])
def test_blocks_to_unfreeze_make_a_fine_tuning_and_contradict_a_head_alone(dataset: Dataset, unfreeze: int) -> None:
    made = concrete(TrainConfig(unfreeze=unfreeze), "mobilenet_v2", dataset)
    assert (made.mode, made.unfreeze) == ("finetune", unfreeze)
    assert concrete(made, "mobilenet_v2", dataset) == made
    with pytest.raises(ConfigError, match=rf"`train\.unfreeze` is {unfreeze}, but in mode transfer .* --mode finetune"):
        concrete(TrainConfig(mode="transfer", unfreeze=unfreeze), "mobilenet_v2", dataset)


def test_a_head_alone_is_the_usual_training(dataset: Dataset) -> None:
    for config in (TrainConfig(), TrainConfig(mode="transfer"), TrainConfig(mode="finetune", unfreeze=0)):
        made = concrete(config, "mobilenet_v2", dataset)
        assert (made.mode, made.unfreeze) == ("transfer", 0)
        assert concrete(made, "mobilenet_v2", dataset) == made


def test_cutmix_needs_height_and_width(dataset: Dataset) -> None:
    def trained(**given: Any) -> str:
        return concrete(TrainConfig.model_validate({"loss": {"cutmix": 1.0}} | given), "mobilenet_v2", dataset).mode

    for given in ({}, {"unfreeze": 0}, {"mode": "transfer"}):
        with pytest.raises(ConfigError, match="no height and width"):
            trained(**given)
    assert trained(unfreeze=3) == trained(unfreeze=-1) == trained(mode="finetune") == "finetune"


def test_what_changes_no_weight_makes_no_run_another(dataset: Dataset) -> None:
    asked = TrainConfig.model_validate({"cache": {"limit_gigabytes": 60}, "gradual": {"stages": [0, 2]}})
    told = [identity(concrete(config, "mobilenet_v2", dataset)) for config in (TrainConfig(), asked)]
    assert told[0] == told[1]


def test_a_dataset_without_validation_photos_is_refused_in_words(dataset: Dataset, work: Path) -> None:
    none = dataset.model_copy(update={"photos_by_split": {**dataset.photos_by_split, "val": {}}})
    none.at(dataset.folder)
    with pytest.raises(ConfigError, match=rf"Dataset {dataset.id} has no photos to validate by.*add photos"):
        job_of(none, TrainConfig(), Workspace(work), silent)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, ""),
        ({"views": 4, "augment": "none"}, "all 4 views of a photo would be the same"),
        ({"mode": "finetune", "unfreeze": 3, "augment": "pad_rotate_cutout"}, "padded, served ones are not"),
        ({"mode": "finetune", "augment": "pad_rotate_cutout", "input": {"resize": "pad"}}, ""),
        ({"views": 1, "augment": "light"}, "Augmentation takes no part"),
        ({"views": 1}, ""),
    ],
)
def test_what_takes_no_part_is_said(dataset: Dataset, asked: dict[str, Any], said: str) -> None:
    config = TrainConfig.model_validate(asked)
    told = remarks(config, concrete(config, "mobilenet_v2", dataset))
    assert len(told) == bool(said)
    assert said in "".join(told)
