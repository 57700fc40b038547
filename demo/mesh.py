"""Shapes in three dimensions: lofted skins that the flyers are put together from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Colour = tuple[float, float, float]

# One wing section, trailing edge -> over the top -> leading edge -> underneath and back.
# The first four faces between neighbouring points are the upper side, the last four the lower.
_CHORD = np.array([1.0, 0.7, 0.4, 0.15, 0.0, 0.15, 0.4, 0.7])
_THICK = np.array([0.0, 0.35, 0.5, 0.42, 0.0, -0.3, -0.35, -0.2])
SECTION_SIDES = len(_CHORD)
FACE_CHORD = (_CHORD + np.roll(_CHORD, -1)) / 2
FACE_UPPER = np.arange(SECTION_SIDES) < SECTION_SIDES // 2


def vec(x: float, y: float, z: float) -> Array:
    """A point or a direction."""
    return np.array((x, y, z), dtype=float)


@dataclass(frozen=True)
class Sheet:
    """Faces that are see-through together, such as the disk a spinning rotor blurs into."""

    quads: Array
    colours: Array
    alphas: Array


class Model:
    """Shapes in the flyer's own axes: x to the nose, y to the left, z up."""

    def __init__(self) -> None:
        self.points: list[Array] = []
        self.faces: list[Array] = []
        self.colours: list[Array] = []
        self.gloss: list[Array] = []
        self.sheets: list[Sheet] = []
        self.lamps: list[tuple[Array, Colour]] = []
        self._count = 0

    def loft(self, rings: Array, colour: Array | Colour, gloss: float = 0.1) -> None:
        """Skin over `rings` (sections x sides x 3); a colour array is sections-1 x sides x 3."""
        sections, sides, _ = rings.shape
        faces = _skin(sections, sides)
        self.points += [rings.reshape(-1, 3), rings[0:1].mean(axis=1), rings[-1:].mean(axis=1)]
        self.faces.append(faces + self._count)
        self._count += sections * sides + 2
        tint = np.empty((sections + 1, sides, 3))
        tint[:-2] = colour
        tint[-2], tint[-1] = tint[0], tint[-3]
        self.colours.append(tint.reshape(-1, 3))
        self.gloss.append(np.full(len(faces), gloss))

    def tube(
        self,
        path: Array,
        radii: Array | float,
        colour: Array | Colour,
        *,
        flat: float = 1.0,
        sides: int = 8,
        gloss: float = 0.1,
    ) -> None:
        """A round bar along `path`; `flat` squashes it in height."""
        path = np.asarray(path, dtype=float)
        radius = np.broadcast_to(np.asarray(radii, dtype=float), (len(path),))
        along = np.empty_like(path)
        along[1:-1] = path[2:] - path[:-2]
        along[0], along[-1] = path[1] - path[0], path[-1] - path[-2]
        along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
        # Any vector that is not parallel to the bar will do to span its cross-section.
        hint = np.where(np.abs(along[:, 2:]) > 0.8, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
        side = cross(along, hint)
        side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
        high = cross(side, along)
        cos, sin = _circle(sides)
        ring = cos[:, None] * side[:, None] + (flat * sin)[:, None] * high[:, None]
        self.loft(path[:, None] + ring * radius[:, None, None], colour, gloss)

    def bar(
        self,
        start: Array | list[float],
        end: Array | list[float],
        radius: float,
        colour: Colour,
        *,
        taper: float = 1.0,
        sides: int = 6,
        pieces: int = 4,
    ) -> None:
        """A straight tube cut in pieces, so that depth sorting works along its length."""
        first, last = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
        x, y, z = (float(part) for part in last - first)
        # Two vectors across the bar, from whichever axis it is not parallel to.
        side = np.array([-z, 0.0, x] if abs(x) + abs(z) > abs(y) else [0.0, z, -y])
        side /= float(np.sqrt(side @ side)) + 1e-9
        high = cross(side, last - first)
        high /= float(np.sqrt(high @ high)) + 1e-9
        cos, sin = _circle(sides)
        ring = (cos[:, None] * side + sin[:, None] * high) * radius
        share = np.arange(pieces + 1)[:, None, None] / pieces
        rings = first + share * (last - first) + (1 + (taper - 1) * share) * ring
        self.loft(rings, colour)

    def blob(
        self,
        centre: Array | Colour,
        radii: Array | Colour,
        colour: Array | Colour,
        *,
        power: float = 1.0,
        sections: int = 9,
        sides: int = 12,
        gloss: float = 0.2,
    ) -> None:
        """An ellipsoid; `power` below 1 makes it boxier, like a moulded shell."""
        unit = _unit_blob(sections, sides, power)
        self.loft(np.asarray(centre) + unit * np.asarray(radii), colour, gloss)

    def wing(
        self,
        lead: Array,
        chord: Array,
        thick: Array | float,
        colour: Array | Colour,
        *,
        up: Array | Colour = (0.0, 0.0, 1.0),
        camber: float = 0.0,
        gloss: float = 0.1,
        mirror: bool = False,
    ) -> None:
        """An aerofoil along the leading edge `lead`; `mirror` puts it on the right side."""
        high = np.broadcast_to(np.asarray(up, dtype=float), lead.shape)[:, None]
        width = np.asarray(chord, dtype=float)[:, None]
        lift = _THICK * np.broadcast_to(np.asarray(thick), width.shape[:1])[:, None]
        lift = lift + camber * np.sin(np.pi * _CHORD)
        rings = lead[:, None] + high * (lift * width)[..., None]
        rings[..., 0] -= width * _CHORD
        if mirror:
            rings[..., 1] *= -1
        self.loft(rings, colour, gloss)

    def torus(
        self,
        centre: Array,
        radius: float,
        section: tuple[float, float],
        colour: Colour,
        sides: int = 22,
    ) -> None:
        """A level ring, `section` is its half width and half height."""
        turn = np.linspace(0, 2 * np.pi, sides + 1)[:, None]
        cut = np.linspace(0, 2 * np.pi, 6, endpoint=False)[None]
        reach = radius + section[0] * np.cos(cut)
        height = np.broadcast_to(section[1] * np.sin(cut), (sides + 1, 6))
        ring = np.stack([reach * np.cos(turn), reach * np.sin(turn), height], axis=-1)
        self.loft(np.asarray(centre) + ring, colour)

    def rotor(
        self,
        centre: Array,
        axis: Array | Colour,
        radius: float,
        colour: Colour,
        alpha: float,
        phase: float,
        blades: int = 2,
    ) -> None:
        """The see-through disk of a turning propeller, denser where its blades were."""
        normal = np.asarray(axis, dtype=float)
        normal = normal / np.linalg.norm(normal)
        hint = np.array([0.0, 1.0, 0.0]) if abs(normal[1]) < 0.8 else np.array([1.0, 0.0, 0.0])
        side = cross(normal, hint)
        side /= np.linalg.norm(side)
        other = cross(normal, side)
        count = 24
        cos, sin = _circle(count)
        rim = np.asarray(centre) + radius * (cos[:, None] * side + sin[:, None] * other)
        hub = np.broadcast_to(np.asarray(centre, dtype=float), (count, 3))
        middle = (np.arange(count) + 0.5) * (2 * np.pi / count)
        swept = np.abs(np.cos((middle - phase) * blades / 2)) ** 10
        alphas = alpha * (0.55 + 1.1 * swept)
        after = np.concatenate([rim[1:], rim[:1]])
        quads = np.stack([hub, rim, after, after], axis=1)
        self.sheets.append(Sheet(quads, np.broadcast_to(colour, (count, 3)), alphas))

    def lamp(self, place: Array | Colour, colour: Colour) -> None:
        """A small light that glows over whatever lies around it."""
        self.lamps.append((np.asarray(place, dtype=float), colour))


@lru_cache(maxsize=64)
def _skin(sections: int, sides: int) -> Array:
    """Corner indices of the faces between rings and of both caps, all wound the same way."""
    ring = np.arange(sections * sides).reshape(sections, sides)
    after = np.roll(ring, -1, axis=1)
    between = np.stack([ring[:-1], ring[1:], after[1:], after[:-1]], axis=-1).reshape(-1, 4)
    near, far = (np.full(sides, sections * sides + end) for end in (0, 1))
    front = np.stack([near, ring[0], after[0], after[0]], axis=-1)
    back = np.stack([far, after[-1], ring[-1], ring[-1]], axis=-1)
    return np.concatenate([between, front, back])


@lru_cache(maxsize=16)
def _circle(sides: int) -> tuple[Array, Array]:
    turn = np.arange(sides) * (2 * np.pi / sides)
    return np.cos(turn), np.sin(turn)


@lru_cache(maxsize=32)
def _unit_blob(sections: int, sides: int, power: float) -> Array:
    polar = np.linspace(0, np.pi, sections)

    def squash(value: Array) -> Array:
        # Where sin(pi) should be zero, the power of its rounding error would be far from it.
        value = np.where(np.abs(value) < 1e-9, 0.0, value)
        return np.sign(value) * np.abs(value) ** power

    size, (cos, sin) = squash(np.sin(polar))[:, None], _circle(sides)
    along = np.broadcast_to(squash(-np.cos(polar))[:, None], (sections, sides))
    return np.stack([along, size * squash(cos), size * squash(sin)], axis=-1)


def cross(left: Array, right: Array) -> Array:
    """numpy's cross() without its generality, which costs more than the product itself."""
    ax, ay, az = left[..., 0], left[..., 1], left[..., 2]
    bx, by, bz = right[..., 0], right[..., 1], right[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)
