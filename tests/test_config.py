"""Knobs: defaults < fledged.toml < flags, and mistakes answered with the nearest known name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fledged.config import CONFIG_FILE, SECTIONS, parse_assignments, parts_of, resolve
from fledged.errors import ConfigError
from fledged.settings.lake import PrepareConfig, ReviewConfig, ScanConfig
from fledged.settings.training import TrainConfig


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_win_over_the_file_and_the_file_over_defaults() -> None:
    Path("fledged.toml").write_text("[train]\nseed = 7\nepochs = 3\n")
    config = resolve(TrainConfig, {"epochs": 5, "mode": None})
    assert (config.seed, config.epochs, config.mode) == (7, 5, "transfer")


@pytest.mark.parametrize(
    ("config", "settings", "words"),
    [
        (TrainConfig, {"epoch": 3}, "Did you mean `epochs`?"),
        (TrainConfig, {"mode": "tranfser"}, "'transfer', 'finetune', 'gradual' or 'scratch'"),
        (TrainConfig, {"epochs": -1}, "greater than or equal to 0"),
        (TrainConfig, {"seed": 10**20}, "less than or equal to 100000000000000"),
        (PrepareConfig, {"split": (0.5, 0.5, 0.5)}, "add up to 1"),
        (PrepareConfig, {"zzz": 1}, "Known: "),
        (TrainConfig, {"optimize": {"shedule": "step"}}, "`train.optimize` has no setting `shedule`.*Did you mean"),
        (TrainConfig, {"optimize": {"momentum": 2}}, "`train.optimize.momentum` is 2.*less than 1.*default is 0.9"),
        (TrainConfig, {"optimize": 3}, "`train.optimize` is 3: [^=]*$"),
        (TrainConfig, {"learning_rate": float("inf")}, "`train.learning_rate` is inf.*finite"),
        (TrainConfig, {"cache": {"limit_gigabytes": float("inf")}}, "`train.cache.limit_gigabytes` is inf"),
        (TrainConfig, {"augment": {"steps": [{"step": "rotate", "degrees": float("nan")}]}}, "degrees` is nan"),
        (TrainConfig, {"backbone": "mobilnet_v2"}, "no such backbone. Did you mean `mobilenet_v2`?"),
        (PrepareConfig, {"split": ("0.5", "0.5")}, "too few values"),
        (PrepareConfig, {"fold": "6/5"}, "is '6/5': needs I/K"),
        (PrepareConfig, {"split": "0.8,0.1,0.1"}, r"takes a list, such as \[0.7, 0.15, 0.15\]"),
        (ReviewConfig, {"drop_clusters": "size:4"}, r'takes a list, such as \["one", "two"\]'),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(
    config: type[TrainConfig], settings: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        resolve(config, settings)


def test_tables_are_overlaid_setting_by_setting() -> None:
    Path("fledged.toml").write_text("[train]\nseed = 7\n[train.optimize]\nmomentum = 0.8\nschedule = 'step'\n")
    given = parse_assignments(["train.optimize.schedule=cosine", "train.optimize.l1=0.1", "train.loss.mixup=0.2"])
    config = resolve(TrainConfig, given["train"])
    assert (config.seed, config.optimize.momentum, config.optimize.schedule) == (7, 0.8, "cosine")
    assert (config.optimize.l1, config.loss.mixup, config.optimize.optimizer) == (0.1, 0.2, "adamw")


def test_a_file_that_is_not_toml_is_named() -> None:
    Path("fledged.toml").write_text("[train\n")
    with pytest.raises(ConfigError, match=r"fledged\.toml"):
        resolve(TrainConfig, {})


def test_a_file_that_is_nested_without_end_is_one_line() -> None:
    CONFIG_FILE.write_text("[scan]\nworkers = " + "[" * 20_000)
    with pytest.raises(ConfigError, match="nested too deep"):
        resolve(ScanConfig, {})
    assert parse_assignments(["scan.workers=" + "[" * 20_000])["scan"]["workers"] == "[" * 20_000


def test_of_a_long_value_the_beginning_is_told() -> None:
    with pytest.raises(ConfigError) as told:
        resolve(ScanConfig, {"workers": "x" * 10**6})
    assert len(str(told.value)) < 600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_in_the_place_of_the_file_is_not_waited_for() -> None:
    os.mkfifo(CONFIG_FILE)
    with pytest.raises(ConfigError, match="not a regular file"):
        resolve(ScanConfig, {})


def test_a_file_that_cannot_be_read_is_named() -> None:
    file = Path("fledged.toml")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"not TOML: .*fledged.toml"):
        resolve(TrainConfig, {})
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match=r"Cannot read: Is a directory \(fledged.toml\)"):
        resolve(TrainConfig, {})


def test_a_section_of_the_file_that_is_no_table_is_named() -> None:
    Path("fledged.toml").write_text("train = 3\n")
    with pytest.raises(ConfigError, match=r"`train` is 3, and not a table \(fledged.toml\)\. Write \[train\]"):
        resolve(TrainConfig, {})


def test_an_unknown_section_in_the_file_is_named() -> None:
    Path("fledged.toml").write_text("[trian]\nseed = 1\n")
    with pytest.raises(ConfigError, match="Did you mean `train`"):
        resolve(TrainConfig, {})


def test_assignments_are_read_as_toml_or_text() -> None:
    parsed = parse_assignments(["train.seed=7", "train.input.resize=pad", "prepare.split=[0.6, 0.2, 0.2]"])
    assert parsed == {"train": {"seed": 7, "input": {"resize": "pad"}}, "prepare": {"split": [0.6, 0.2, 0.2]}}


@pytest.mark.parametrize("text", ["seed=7", "train.seed", "train.=7"])
def test_an_assignment_without_a_section_and_a_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"section\.name=value"):
        parse_assignments([text])


def test_every_knob_has_words_and_a_verb_has_about_ten_at_most() -> None:
    for section, config in SECTIONS.items():
        assert len(config.model_fields.keys() - parts_of(config)) <= (13 if section == "train" else 10), section
        for name, field in config.model_fields.items():
            assert field.description, f"{section}.{name}"
