"""Steps and presets, and how people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fledged import recipes
from fledged.config import parse_assignments, resolve
from fledged.errors import ConfigError
from fledged.recipes import PRESETS, STEPS, Preset
from fledged.settings.augmenting import AugmentConfig
from fledged.settings.training import TrainConfig

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def augment(*assignments: str) -> AugmentConfig:
    """What these assignments on the command line come to."""
    return resolve(TrainConfig, parse_assignments(list(assignments))["train"]).augment


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("augment=ligth", "no such preset. Did you mean `light`"),
        ("augment.preset=crop_rotat", "Did you mean `crop_rotate`"),
        ("augment.prest='light'", "`train.augment` has no setting `prest`. Did you mean `preset`"),
        ("augment=own", "own needs train.augment.steps"),
        ("augment.steps=['cutot']", "step 1 is 'cutot'.*Did you mean `cutout`"),
        ("augment.steps=['cutout', {step='rotate', degree=3}]", "step 2, rotate,.*'degree'. Did you mean `degrees`"),
        ("augment.steps=[{step='rotate', degrees=500}]", "step 1, rotate: degrees is 500: .*less than or equal to 180"),
        ("augment.steps=[{step='random_resized_crop', area=[0.9, 0.1]}]", "the smallest comes first"),
        ("augment.steps=[{step='resize', by='pading'}]", "by is 'pading'.*'serving' or 'squash'"),
        ("augment.steps=[3]", "step 1 is 3; write a name or a table"),
        ("augment.steps=cutout", "it takes a list"),
        ("augment=3", "`train.augment` is 3"),
    ],
)
def test_a_wrong_recipe_is_answered_with_what_would_be_right(given: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        augment(f"train.{given}")


def test_a_step_is_a_name_a_table_or_a_record() -> None:
    rotate = recipes.Rotate(degrees=15)
    written = augment("train.augment.steps=['horizontal_flip', {step='rotate', degrees=15}]")
    assert written.recipe == (recipes.HorizontalFlip(), rotate)
    assert resolve(TrainConfig, {"augment": {"steps": ["horizontal_flip", rotate]}}).augment == written
    Path("fledged.toml").write_text(
        "[[train.augment.steps]]\nstep = 'horizontal_flip'\n[[train.augment.steps]]\nstep = 'rotate'\ndegrees = 15\n"
    )
    assert resolve(TrainConfig, {}).augment == written


def test_the_preset_of_the_command_line_wins_over_the_file() -> None:
    Path("fledged.toml").write_text("[train.augment]\nsteps = ['cutout']\n")
    assert augment("train.augment=crop_rotate").recipe == PRESETS["crop_rotate"]


def test_a_resolved_recipe_is_written_out_and_stays_as_it_is() -> None:
    for preset in PRESETS:
        resolved = AugmentConfig(preset=preset).resolved()
        assert (resolved.preset, resolved.steps) == (preset, PRESETS[preset])
        assert AugmentConfig.model_validate_json(resolved.model_dump_json()).resolved() == resolved
    own = AugmentConfig(steps=(recipes.Cutout(),)).resolved()
    assert own.preset == "own"
    assert own.resolved() == own


def test_a_preset_and_other_steps_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"preset light and for other steps.*--set train\.augment=light"):
        AugmentConfig(preset="light", steps=(recipes.Cutout(),)).resolved()


def test_every_step_has_words_for_all_that_can_be_set() -> None:
    for name, kind in STEPS.items():
        assert kind.__doc__, name
        for setting, field in kind.model_fields.items():
            assert setting == "step" or field.description, f"{name}.{setting}"


def test_the_page_on_training_tells_of_every_preset_and_step() -> None:
    page = (DOCS / "training.md").read_text()
    for name in [*PRESETS, *STEPS]:
        assert f"`{name}`" in page, name


# As (step, what is set in it); at 224 px, so that lengths are those that the reference systems' code has.
REFERENCE: dict[str, list[tuple[str, dict[str, object]]]] = {
    "crop_rotate": [
        ("random_resized_crop", {"area": (0.8, 1.0), "scale_px": 256}),
        ("rotate", {"degrees": 15, "p": 1}),
        ("horizontal_flip", {"p": 0.5}),
        ("center_crop", {"scale_px": 224}),
    ],
    "crop_rotate_cutout": [
        ("resize", {"scale_px": 256}),
        ("random_resized_crop", {"area": (0.08, 1.0), "scale_px": 224}),
        ("cutout", {"holes": 2, "size_px": 8, "p": 1}),
        ("horizontal_flip", {"p": 0.5}),
        ("rotate", {"degrees": 30, "p": 0.5}),
    ],
    "cutout": [("resize", {"scale_px": 224}), ("cutout", {"holes": 2, "size_px": 8, "p": 1})],
    "rotate_rgb_cutout": [
        ("rotate", {"degrees": 30, "p": 0.5}),
        ("horizontal_flip", {"p": 0.5}),
        ("resize", {"scale_px": 224}),
        ("rgb_shift", {"shift_of_255": 50, "p": 0.5}),
        ("cutout", {"holes": 4, "size_px": 32, "p": 0.5}),
    ],
    "pad_rotate_cutout": [
        ("horizontal_flip", {"p": 0.5}),
        ("longest_side_pad", {"scale_px": 224}),
        ("rotate", {"degrees": 30, "p": 0.5}),
        ("cutout", {"holes": 8, "size_px": 8, "p": 0.5}),
    ],
    "distort_any_way_up": [
        ("resize", {"scale_px": 224}),
        ("brightness_contrast", {"brightness": 0.2, "contrast": 0.2, "p": 0.5}),
        ("hue_saturation_value", {"p": 0.5}),
        ("shift_scale_rotate", {"shift": 0.0625, "scale": 0.1, "degrees": 45, "p": 0.5}),
        ("grid_distortion", {"cells": 5, "distort": 0.3, "p": 0.5}),
        ("random_rotate_90", {"p": 0.5}),
    ],
}


@pytest.mark.parametrize("preset", REFERENCE)
def test_a_preset_does_what_the_system_that_it_is_of_did(preset: Preset) -> None:
    made = [step.model_dump() for step in PRESETS[preset]]
    assert [step["step"] for step in made] == [name for name, _ in REFERENCE[preset]]
    for step, (_, wanted) in zip(made, REFERENCE[preset], strict=True):
        in_px = {f"{name}_px": 224 * step[name] for name in ("scale", "size") if name in step}
        in_255 = {"shift_of_255": 255 * step["shift"]} if step["step"] == "rgb_shift" else {}
        found = step | in_px | in_255
        for name, value in wanted.items():
            assert found[name] == pytest.approx(value), name


def test_every_preset_is_a_reference_systems_or_our_own() -> None:
    assert set(PRESETS) == {*REFERENCE, "none", "light"}
