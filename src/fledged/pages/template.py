"""The templates of pages: HTML that escapes whatever names hold, with the words of `pages.words` as filters."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fledged.pages import words


def environment(folder: Path) -> Environment:
    """Where the templates and styles of a room are found, and those that all pages share."""
    made = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": words.percent,
        "count": words.count,
        "photos": words.photos,
        "visible": words.visible,
        "breakable": words.breakable,
        "percent0": "{:.0%}".format,
        "plain": "{:g}".format,
        "day": words.day,
        "tight": tight,
    }
    return made


def tight(html: Markup) -> Markup:
    """HTML without white space between tags: in thousands of cards it would be nodes for nothing."""
    return Markup(re.sub(r">\s+<", "><", html))
