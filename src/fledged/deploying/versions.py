"""Which version of a function answers, and which did before it: kept at the alias that requests come by."""

from __future__ import annotations

import re
from typing import Any

from fledged.errors import DeployError

ALIAS = "live"
# osls names the alias of a function with SnapStart so, whatever one asks for.
_ALIASES = (ALIAS, "snapstart")
MAKE_IT = "Make it once by the templates: sam deploy --guided, in the package's folder."

# The version that answers, and those that did before it, the latest first: the description of the alias.
_NOTE, _MOST_NOTED = re.compile(r"fledged: (\d+) after ((?:\d+ ?)+)"), 20


def alias_of(functions: Any, function: str) -> dict[str, Any]:
    """The one that answers, as the template that made the function calls it."""
    there = {alias["Name"]: alias for alias in functions.list_aliases(FunctionName=function)["Aliases"]}
    for name in _ALIASES:
        if name in there:
            found: dict[str, Any] = there[name]
            return found
    raise DeployError(f"The function has no alias `{ALIAS}`", where=function, remedy=MAKE_IT)


def noted_before(alias: dict[str, Any]) -> list[str]:
    """Versions that answered before the one of now, the latest first; none where something else moved the alias."""
    note = _NOTE.fullmatch(alias.get("Description", ""))
    return note[2].split() if note and note[1] == alias["FunctionVersion"] else []


def note(version: str, earlier: list[str]) -> str:
    """What is kept at the alias when it is moved to a version."""
    return f"fledged: {version} after {' '.join(earlier[:_MOST_NOTED])}" if earlier else ""


def descriptions(functions: Any, function: str) -> dict[str, str]:
    """Of each version of the function, by its number."""
    found: dict[str, str] = {}
    for page in functions.get_paginator("list_versions_by_function").paginate(FunctionName=function):
        for version in page["Versions"]:
            if version["Version"].isdecimal():
                found[version["Version"]] = version.get("Description", "")
    return found
