"""The templates of this room's pages."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Template

from fledged.pages.template import environment


def template(name: str) -> Template:
    """One of them, such as `looking/explain.html.jinja`."""
    return environment(Path(__file__).parent).get_template(name)
