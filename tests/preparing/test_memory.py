"""What was decided once is remembered, readable, mergeable, and refused when it makes no sense."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from fledged.errors import ProductError
from fledged.preparing.memory import recall, remember, scheme
from fledged.settings.lake import PrepareConfig
from fledged.workspace import Workspace


def members(**parts: str | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"sha256": [*parts], "part": [*parts.values()]}, schema={"sha256": pl.String, "part": pl.String}
    )


def test_what_is_remembered_is_recalled_and_the_first_word_counts(tmp_path: Path) -> None:
    workspace, config = Workspace(tmp_path), PrepareConfig()
    assert recall(workspace, config) == {}
    remember(workspace, config, {}, members(b="test", a="train", out=None))
    assert recall(workspace, config) == {"a": "train", "b": "test"}
    remember(workspace, config, recall(workspace, config), members(b="train", c="val"))
    assert recall(workspace, config) == {"a": "train", "b": "test", "c": "val"}
    text = (tmp_path / "splits" / "seed42_0.7-0.15-0.15.csv").read_text()
    assert text == "sha256,part\na,train\nb,test\nc,val\n"


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    workspace, config = Workspace(tmp_path), PrepareConfig()
    remember(workspace, config, {}, members(a="train"))
    before = workspace.splits(scheme(config)).stat().st_mtime_ns
    remember(workspace, config, {"a": "train"}, members(a="train"))
    assert workspace.splits(scheme(config)).stat().st_mtime_ns == before


def test_other_seeds_shares_folds_and_rules_are_other_schemes() -> None:
    configs = [
        {},
        {"seed": 7},
        {"split": (0.8, 0.1, 0.1)},
        {"fold": "1/5"},
        {"fold": "1/4"},
        {"group_by": "^x"},
        {"burst_s": 0},
        {"keep_splits": True},
    ]
    names = {scheme(PrepareConfig.model_validate(changed)) for changed in configs}
    assert len(names) == len(configs)
    assert scheme(PrepareConfig(fold="1/5")) == scheme(PrepareConfig(fold="4/5"))
    assert scheme(PrepareConfig(shorter_side_px=64, drop_classes=("x",))) == scheme(PrepareConfig())
    assert all("/" not in name for name in names)


def test_two_merged_files_give_one_answer_whatever_the_order(tmp_path: Path) -> None:
    workspace, config = Workspace(tmp_path), PrepareConfig()
    path = workspace.splits(scheme(config))
    path.parent.mkdir()
    for lines in (["a,train", "a,test"], ["a,test", "a,train"]):
        path.write_text("\n".join(["sha256,part", *lines]))
        assert recall(workspace, config) == {"a": "test"}


@pytest.mark.parametrize(
    "text", ["", "a,b,c\n1,2,3\n", "sha256,part\na,tset\n", "sha256,part\na\n", "\0\0", "<<<<<<< HEAD\n"]
)
def test_a_file_that_makes_no_sense_is_refused_with_a_way_out(tmp_path: Path, text: str) -> None:
    workspace, config = Workspace(tmp_path), PrepareConfig()
    path = workspace.splits(scheme(config))
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ProductError, match=r"no memory of splits.*delete it"):
        recall(workspace, config)


def test_folds_are_remembered_by_their_number(tmp_path: Path) -> None:
    workspace, config = Workspace(tmp_path), PrepareConfig(fold="2/5")
    remember(workspace, config, {}, members(a="5"))
    assert recall(workspace, PrepareConfig(fold="3/5")) == {"a": "5"}
    workspace.splits(scheme(config)).write_text("sha256,part\na,6\n")
    with pytest.raises(ProductError, match="`6` is none of"):
        recall(workspace, config)
