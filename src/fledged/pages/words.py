"""Figures and names as a reader sees them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from fledged.errors import shown

if TYPE_CHECKING:
    from markupsafe import Markup

# A locale may have others.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
# More class names than this do not fit a sentence.
_SENTENCE = 4


def percent(share: float) -> str:
    """97.4%; never 100.0% or 0.0% for what is not all or nothing."""
    if share in (0, 1):
        return f"{share:.0%}"
    rounded = f"{share:.1%}"
    return {"100.0%": "> 99.9%", "0.0%": "< 0.1%"}.get(rounded, rounded)


def count(n: int) -> str:
    """12,345."""
    return f"{n:,}"


def decimal(value: float) -> str:
    """Three decimals."""
    return f"{value:.3f}"


def photos(n: int) -> str:
    """1 photo, 2 photos."""
    return f"{n:,} photo" if n == 1 else f"{n:,} photos"


def p_value(value: float) -> str:
    """0.012; < 0.001."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def points(difference: float) -> str:
    """+0.4 points: a difference of shares."""
    return f"{100 * difference:+.1f} points"


def day(moment: datetime) -> str:
    """31 July 2026."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def question(classes: Sequence[str]) -> str:
    """The headline."""
    names = [visible(name) for name in classes]
    if len(names) == 2:
        return f"Can it tell {names[0]} from {names[1]}?"
    if len(names) <= _SENTENCE and sum(map(len, names)) < 48:
        return f"Can it tell {listed(names)} apart?"
    return f"Can it tell {len(names)} classes apart?"


def answer(label: str, confidence: float, is_accepted: bool) -> str:
    """owl 97.4%; unknown (owl 97.4%) of a photo that is unlike those of all classes."""
    likeliest = f"{visible(label)} {percent(confidence)}"
    return likeliest if is_accepted else f"unknown ({likeliest})"


def breakable(name: str) -> Markup:
    """The visible name, which a narrow column may wrap after its underscores."""
    from markupsafe import Markup  # no part of the base install, whose commands print words too

    return Markup("_<wbr>").join(visible(name).split("_"))


def visible(name: str) -> str:
    """The name with line breaks, reversed writing and the like spelled out: names of files may hold anything."""
    return shown(name)


def shortened(name: str, n_columns: int) -> str:
    """The visible name in at most so many columns, a Chinese character taking two; names often differ at their ends."""
    name = visible(name)
    if cell_len(name) <= n_columns:
        return name
    n_end = (n_columns - 1) // 3
    end = set_cell_size(name[::-1], n_end)[::-1].strip()
    return f"{set_cell_size(name, n_columns - 1 - n_end).strip()}…{end}"


def kilobytes(n_bytes: float) -> str:
    """1,234 kB, of 1,000 bytes each; small files with decimals, so that no size becomes 0."""
    kb = n_bytes / 1000
    return f"{kb:,.0f} kB" if kb >= 10 else f"{kb:.1f} kB" if kb >= 0.1 else f"{kb:.3f} kB"


def amount(n_bytes: int) -> str:
    """A total in kB, MB, GB or TB, each 1,000 of the one before."""
    value, unit = float(n_bytes) / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
