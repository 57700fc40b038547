"""Settings of how training photos are varied: a preset by its name, or steps."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from fledged.errors import ConfigError, suggestion
from fledged.recipes import PRESETS, STEPS, Preset, Recipe
from fledged.records import Record


class AugmentConfig(Record):
    """How training photos are varied; a preset's name alone may stand for the table."""

    preset: Preset = Field(
        "light", description="A recipe by its name, such as light or none (training.md has all); own is steps."
    )
    steps: Recipe = Field(
        (),
        description="What is done, in this order, instead of a preset: names of steps, or tables such as "
        '{step = "rotate", degrees = 15}.',
    )

    @model_validator(mode="before")
    @classmethod
    def _preset_by_name(cls, given: object) -> object:
        return {"preset": given} if isinstance(given, str) else given

    @field_validator("preset", mode="before")
    @classmethod
    def _known(cls, name: object) -> object:
        if name not in PRESETS and name != "own":
            raise ValueError(f"there is no such preset. {suggestion(str(name), dict.fromkeys([*PRESETS, 'own']))}")
        return name

    @field_validator("steps", mode="before")
    @classmethod
    def _steps(cls, given: object) -> object:
        return tuple(map(_step, range(1, len(given) + 1), given)) if isinstance(given, list | tuple) else given

    @model_validator(mode="after")
    def _own_has_steps(self) -> AugmentConfig:
        if self.preset == "own" and not self.steps:
            raise ValueError("own needs train.augment.steps")
        return self

    @property
    def recipe(self) -> Recipe:
        """The steps themselves."""
        return self.steps or PRESETS[self.preset]

    def resolved(self) -> AugmentConfig:
        """With the steps written out, so that a record says what was done even when a preset changes.

        Raises ConfigError if a preset and other steps are asked for.
        """
        is_preset = self.recipe == PRESETS.get(self.preset)
        if not is_preset and self.preset != "own" and "preset" in self.model_fields_set:
            raise ConfigError(
                f"`train.augment` asks for the preset {self.preset} and for other steps",
                remedy=f"Take one of them out; --set train.augment={self.preset} does without the steps.",
            )
        return AugmentConfig(preset=self.preset if is_preset else "own", steps=self.recipe)


def _step(number: int, given: object) -> object:
    """A step of a recipe; a name alone takes its defaults. Raises ValueError with the nearest known name."""
    settings = {"step": given} if isinstance(given, str) else given
    if isinstance(settings, BaseModel):
        return settings
    if not isinstance(settings, Mapping):
        raise ValueError(f"step {number} is {given!r}; write a name or a table")
    name = str(settings.get("step", ""))
    if name not in STEPS:
        raise ValueError(f"step {number} is {name!r}, which is none. {suggestion(name, STEPS)}")
    for setting in settings:
        if setting not in STEPS[name].model_fields:
            near = suggestion(setting, STEPS[name].model_fields)
            raise ValueError(f"step {number}, {name}, has no setting {setting!r}. {near}")
    try:
        return STEPS[name].model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        what = ".".join(map(str, first["loc"]))
        raise ValueError(f"step {number}, {name}: {what} is {first.get('input')!r}: {first['msg']}") from error
