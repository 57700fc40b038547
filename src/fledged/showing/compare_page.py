"""The page of a comparison: models in a table, and the photos on which each pair differs."""

from __future__ import annotations

from collections.abc import Sequence

from fledged.measuring.comparison import Comparison
from fledged.pages.axes import axis
from fledged.showing.album import Address
from fledged.showing.flips import Flips
from fledged.showing.templates import template

# Below this a difference is more than chance, at the 5% that everybody takes.
_CHANCE = 0.05


def render(compared: Comparison, flips: Sequence[Flips], address: Address, is_beside: bool) -> str:
    """The whole page; it runs no script and asks nothing of any network."""
    lows = [model.accuracy.low for model in compared.contenders]
    return template("looking/compare.html.jinja").render(
        compared=compared,
        flips=flips,
        accuracy_axis=axis(min([*lows, 0.9]), 1.0),
        chance=_CHANCE,
        address=address,
        is_beside=is_beside,
    )
