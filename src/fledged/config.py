"""Settings as they are given: read, checked and merged once, at the door of a verb.

Defaults (`fledged.settings`) give way to `fledged.toml` in the current folder, and that to flags and arguments. The
resolved record goes into the product.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, cast

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from fledged import regular
from fledged.errors import ConfigError, suggestion
from fledged.records import Record
from fledged.settings.deploying import DeployConfig
from fledged.settings.engine import EngineConfig
from fledged.settings.lake import CollectConfig, PrepareConfig, ReviewConfig, ScanConfig
from fledged.settings.remote import RemoteConfig
from fledged.settings.results import EvaluateConfig, ExplainConfig, ExportConfig, GridConfig, ServeConfig
from fledged.settings.training import FindLrConfig, TrainConfig
from fledged.settings.tuning import TuneConfig

CONFIG_FILE = Path("fledged.toml")
_MOST_TOLD = 200  # letters of a value that is refused

SECTIONS: dict[str, type[Record]] = {
    "collect": CollectConfig,
    "scan": ScanConfig,
    "review": ReviewConfig,
    "prepare": PrepareConfig,
    "find_lr": FindLrConfig,
    "tune": TuneConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "explain": ExplainConfig,
    "test": GridConfig,
    "export": ExportConfig,
    "serve": ServeConfig,
    "deploy": DeployConfig,
    "remote": RemoteConfig,
    "engine": EngineConfig,
}


Config = TypeVar("Config", bound=Record)


def resolve(config: type[Config], settings: Mapping[str, object]) -> Config:
    """The defaults, overlaid with `fledged.toml` and then with `settings`; None means "not given".

    Raises ConfigError that names the setting, its range and the nearest known name.
    """
    section = next(name for name, known in SECTIONS.items() if known is config)
    given = overlaid(_from_file(section), settings)
    _check_names(section, config, given)
    _check_finite(section, given)
    try:
        return config.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        path, field = _field(config, first["loc"])
        # A tuple that is too short is told as a field that is missing: to a reader it is a value of the wrong length.
        words = "too few values" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
        if first["type"] == "tuple_type":
            example = list(field.default) if field and isinstance(field.default, tuple) else []
            words = f"it takes a list, such as {json.dumps(example or ['one', 'two'])}"
        default = "" if field is None or isinstance(field.default, Record) else f" The default is {field.default!r}."
        raise ConfigError(
            f"`{'.'.join((section, *path))}` is {_short(first.get('input'))}: {words}",
            remedy=f"{field.description}{default}" if field else "Take it out.",
        ) from error


def _short(given: object) -> str:
    """A value as it fits into a line."""
    text = repr(given)
    return text if len(text) <= _MOST_TOLD else f"{text[:_MOST_TOLD]}…"


def overlaid(settings: Mapping[str, object], by: Mapping[str, object]) -> dict[str, object]:
    """The settings with those of `by` in their place; None is none, and tables are overlaid setting by setting."""
    result = dict(settings)
    for name, value in by.items():
        below = result.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping | None):
            result[name] = overlaid(below or {}, value)
        elif value is not None:
            result[name] = value
    return result


def parts_of(config: type[Record]) -> dict[str, type[Record]]:
    """The settings of a section that are tables of settings themselves."""
    return {
        name: field.annotation
        for name, field in config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Record)
    }


def _check_names(section: str, config: type[Record], given: Mapping[str, object]) -> None:
    parts = parts_of(config)
    for name, value in given.items():
        if name not in config.model_fields:
            raise ConfigError(f"`{section}` has no setting `{name}`", remedy=suggestion(name, config.model_fields))
        if name in parts and isinstance(value, Mapping):
            _check_names(f"{section}.{name}", parts[name], value)


def _check_finite(where: str, value: object) -> None:
    """TOML and Python have numbers that are none; few ranges exclude them, and no record in JSON can hold them."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"`{where}` is {value}", remedy="Give it a finite number.")
    if isinstance(value, Mapping):
        for name, below in value.items():
            _check_finite(f"{where}.{name}", below)
    elif isinstance(value, list | tuple):
        for below in value:
            _check_finite(where, below)


def _field(config: type[Record], path: tuple[int | str, ...]) -> tuple[tuple[str, ...], FieldInfo | None]:
    """The setting that pydantic's path leads to, and its names on the way."""
    if not path or str(path[0]) not in config.model_fields:
        return (), None
    name = str(path[0])
    part = parts_of(config).get(name)
    if part is not None and (below := _field(part, path[1:]))[1] is not None:
        return (name, *below[0]), below[1]
    return (name,), config.model_fields[name]


def parse_assignments(assignments: list[str]) -> dict[str, dict[str, object]]:
    """`--set train.seed=7` as {"train": {"seed": 7}}; values are read as TOML, else as text.

    More dots lead into tables: `train.optimize.schedule=step`.
    """
    parsed: dict[str, dict[str, object]] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        section, *names = path.split(".")
        if not (equals and names and all(names)):
            raise ConfigError(
                f"`--set {assignment}` is not of the form section.name=value",
                remedy="Write, for example, --set train.seed=7.",
            )
        if section not in SECTIONS:
            raise ConfigError(f"There is no section `{section}`", where="--set", remedy=suggestion(section, SECTIONS))
        value = _toml_value(text)
        for name in reversed(names):
            value = {name: value}
        parsed = {**parsed, section: overlaid(parsed.get(section, {}), cast(dict[str, object], value))}
    return parsed


def _from_file(section: str) -> dict[str, object]:
    try:
        with regular.opened(CONFIG_FILE) as file:
            sections = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"Cannot read: {error.strerror}", where=CONFIG_FILE, remedy="Mend or remove it.") from error
    except RecursionError as error:
        raise ConfigError("This is nested too deep", where=CONFIG_FILE, remedy="Mend or remove the file.") from error
    except ValueError as error:  # not TOML, or not even UTF-8
        raise ConfigError(f"This is not TOML: {error}", where=CONFIG_FILE, remedy="Mend or remove the file.") from error
    for name in sections:
        if name not in SECTIONS:
            raise ConfigError(f"There is no section `{name}`", where=CONFIG_FILE, remedy=suggestion(name, SECTIONS))
    found = sections.get(section, {})
    if not isinstance(found, dict):
        raise ConfigError(
            f"`{section}` is {_short(found)}, and not a table",
            where=CONFIG_FILE,
            remedy=f"Write [{section}], and settings below.",
        )
    return found


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
