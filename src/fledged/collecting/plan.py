"""A plan: which classes to gather, and where from.

    engines = ["bing", "duckduckgo"]          # of all classes that do not name their own; so are modifiers and limit
    modifiers = ["at night", "in snow"]       # long-tail terms: each search term alone, and with each of these

    [classes."barn owl"]
    urls = ["owls.txt", "owls.csv", "https://example.org/owl.jpg"]
    search = ["barn owl", "Tyto alba"]
    archives = ["owls.zip"]
    limit = 500

Paths are relative to the plan.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, ValidationError

from fledged import regular
from fledged.collecting.offers import Refusal, clean_label
from fledged.errors import ConfigError, suggestion
from fledged.products import SPLIT_FOLDERS
from fledged.records import Record

Engine = Literal["bing", "baidu", "google", "duckduckgo", "ddgs-bing"]
ENGINES: tuple[Engine, ...] = get_args(Engine)


class ClassPlan(Record):
    """What to gather for one class."""

    urls: tuple[str, ...] = ()  # addresses, and text files or CSV tables of addresses
    search: tuple[str, ...] = ()
    engines: tuple[Engine, ...] | None = None
    modifiers: tuple[str, ...] | None = None
    archives: tuple[str, ...] = ()  # zip or tar, all photos of which are of this class
    limit: int | None = Field(None, ge=0)  # photos at most; 0: all


class Plan(Record):
    """What to gather."""

    classes: dict[str, ClassPlan] = Field(min_length=1)
    engines: tuple[Engine, ...] = ("bing", "duckduckgo")
    modifiers: tuple[str, ...] = ()
    limit: int = Field(0, ge=0)

    def limit_of(self, label: str) -> int:
        """Photos of a class at most; 0: all."""
        own = self.classes[label].limit
        return self.limit if own is None else own

    def searches_of(self, label: str) -> list[tuple[Engine, str]]:
        """(engine, query) of a class: each term alone on all engines, then with each modifier, without repeats."""
        wanted = self.classes[label]
        engines = self.engines if wanted.engines is None else wanted.engines
        modifiers = self.modifiers if wanted.modifiers is None else wanted.modifiers
        queries = [" ".join(f"{term} {modifier}".split()) for modifier in ("", *modifiers) for term in wanted.search]
        return [(engine, query) for query in dict.fromkeys(queries) if query for engine in dict.fromkeys(engines)]


def read_plan(path: Path) -> Plan:
    """The plan in a TOML file. Raises ConfigError that names the wrong key and the nearest known one."""
    try:
        given = tomllib.loads(regular.read(path).decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"The plan cannot be read: {error.strerror}", where=path, remedy="Check the path.") from error
    except UnicodeDecodeError as error:
        raise ConfigError("The plan is not UTF-8 text", where=path, remedy="Save it as UTF-8.") from error
    except RecursionError as error:
        raise ConfigError("The plan is nested too deep", where=path, remedy="Mend the file.") from error
    except ValueError as error:  # a number of too many digits, too
        raise ConfigError(f"The plan is not TOML: {error}", where=path, remedy="Mend that line.") from error
    try:
        plan = Plan.model_validate(given)
    except ValidationError as error:
        raise _wrong_key(error, path) from error
    classes: dict[str, ClassPlan] = {}
    for name, wanted in plan.classes.items():
        try:
            label = clean_label(name)
        except Refusal as why:
            raise ConfigError(f"`{name}` cannot be a folder's name", where=path, remedy="Rename the class.") from why
        if label in classes:
            raise ConfigError(f"The class `{label}` is there twice", where=path, remedy="Make one of both.")
        if label.lower() in SPLIT_FOLDERS:
            raise ConfigError(
                f"A class called `{label}` would be taken for a split", where=path, remedy="Rename the class."
            )
        if not (wanted.urls or wanted.search or wanted.archives):
            raise ConfigError(
                f"The class `{label}` names no source", where=path, remedy="Give it urls, search or archives."
            )
        classes[label] = wanted
    return plan.model_copy(update={"classes": classes})


def _wrong_key(error: ValidationError, path: Path) -> ConfigError:
    """The first error in words: which key, what is wrong with it, and what is known there."""
    first = error.errors()[0]
    steps = [str(step) for step in first["loc"]]
    key = ".".join(steps)
    in_class = len(steps) > 2 and steps[0] == "classes"
    if first["type"] == "extra_forbidden":
        known = (ClassPlan if in_class else Plan).model_fields
        where = f"the class `{steps[1]}`" if in_class else "a plan"
        return ConfigError(f"`{key}`: {where} has no `{steps[-1]}`", where=path, remedy=suggestion(steps[-1], known))
    if key == "classes":
        return ConfigError(
            "The plan names no class", where=path, remedy='Write, for example, [classes.owl] and urls = ["owls.txt"].'
        )
    if first["type"] == "literal_error":
        return ConfigError(
            f"`{key}` is {first['input']!r}, which is no known search engine",
            where=path,
            remedy=suggestion(str(first["input"]), dict.fromkeys(ENGINES)),
        )
    hint = 'Write a list, such as ["one", "two"].' if first["type"] == "tuple_type" else "Mend that value."
    return ConfigError(f"`{key}` is {first.get('input')!r}: {first['msg']}", where=path, remedy=hint)
