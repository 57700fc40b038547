"""Birds: a lofted body, and wings bent by the phase of their beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.mesh import FACE_CHORD, FACE_UPPER, SECTION_SIDES, Array, Colour, Model, vec


@dataclass(frozen=True)
class Species:
    """Proportions in half wing spans, colours 0..1."""

    back: Colour
    belly: Colour
    head: Colour
    tips: Colour  # the outer flight feathers
    under: Colour  # underside of the wings
    beak: Colour
    chord: float
    taper: float
    square: float  # high for broad wing ends, low for pointed ones
    sweep: float
    fingers: int
    girth: float
    neck: float
    tail: float
    spread: float
    fork: float = 0.0
    legs: float = 0.0
    bands: float = 0.0  # strength of the barring under the wings


_WHITE, _BLACK = (0.94, 0.94, 0.93), (0.10, 0.10, 0.12)

# fmt: off
SPECIES = (
    # gull, crow, hawk, eagle
    Species((0.62, 0.65, 0.69), _WHITE, _WHITE, _BLACK, (0.88, 0.89, 0.90), (0.88, 0.66, 0.18),
            0.30, 0.42, 4.0, 0.26, 0, 0.105, 0.0, 0.20, 0.11),
    Species(_BLACK, (0.12, 0.12, 0.13), _BLACK, _BLACK, (0.15, 0.15, 0.17), (0.12, 0.12, 0.12),
            0.40, 0.22, 8.0, 0.14, 4, 0.12, 0.02, 0.30, 0.14),
    Species((0.42, 0.29, 0.18), (0.84, 0.75, 0.60), (0.47, 0.33, 0.21), (0.22, 0.16, 0.12),
            (0.80, 0.72, 0.59), (0.24, 0.22, 0.20), 0.44, 0.15, 9.0, 0.10, 5, 0.13, 0.0, 0.30,
            0.24, bands=0.45),
    Species((0.25, 0.18, 0.13), (0.27, 0.20, 0.14), (0.90, 0.88, 0.82), (0.16, 0.12, 0.10),
            (0.30, 0.23, 0.17), (0.90, 0.72, 0.22), 0.42, 0.08, 12.0, 0.08, 6, 0.12, 0.05, 0.27,
            0.20, bands=0.1),
    # swallow, pigeon, goose, egret
    Species((0.14, 0.18, 0.30), (0.90, 0.82, 0.72), (0.36, 0.16, 0.12), (0.12, 0.13, 0.18),
            (0.52, 0.47, 0.43), (0.12, 0.12, 0.12), 0.30, 0.55, 3.0, 0.48, 0, 0.12, -0.02, 0.46,
            0.13, fork=0.6),
    Species((0.50, 0.54, 0.60), (0.56, 0.58, 0.63), (0.34, 0.42, 0.46), (0.26, 0.28, 0.32),
            (0.80, 0.81, 0.83), (0.32, 0.30, 0.30), 0.42, 0.42, 4.0, 0.26, 0, 0.16, 0.0, 0.34,
            0.19, bands=0.12),
    Species((0.44, 0.38, 0.32), (0.72, 0.67, 0.60), (0.20, 0.17, 0.15), (0.24, 0.21, 0.19),
            (0.56, 0.52, 0.48), (0.86, 0.52, 0.20), 0.34, 0.35, 5.0, 0.20, 0, 0.13, 0.34, 0.17,
            0.12),
    Species(_WHITE, _WHITE, _WHITE, (0.90, 0.90, 0.89), (0.91, 0.91, 0.90), (0.90, 0.74, 0.24),
            0.40, 0.22, 6.0, 0.14, 0, 0.09, 0.14, 0.15, 0.10, legs=0.36),
    # starling, parakeet, tern, duck
    Species((0.20, 0.19, 0.20), (0.24, 0.22, 0.22), (0.18, 0.17, 0.20), (0.20, 0.17, 0.16),
            (0.36, 0.32, 0.30), (0.80, 0.70, 0.30), 0.42, 0.60, 3.0, 0.24, 0, 0.15, 0.0, 0.24,
            0.13),
    Species((0.26, 0.58, 0.24), (0.60, 0.76, 0.32), (0.36, 0.68, 0.28), (0.16, 0.32, 0.40),
            (0.54, 0.62, 0.36), (0.84, 0.26, 0.20), 0.38, 0.48, 3.4, 0.28, 0, 0.13, -0.03, 0.62,
            0.07),
    Species((0.78, 0.80, 0.83), _WHITE, (0.16, 0.16, 0.18), (0.50, 0.52, 0.55), _WHITE,
            (0.80, 0.28, 0.16), 0.24, 0.46, 3.4, 0.34, 0, 0.085, 0.02, 0.36, 0.10, fork=0.65),
    Species((0.40, 0.34, 0.28), (0.62, 0.56, 0.50), (0.12, 0.34, 0.24), (0.26, 0.24, 0.24),
            (0.84, 0.84, 0.82), (0.82, 0.68, 0.22), 0.32, 0.42, 3.6, 0.22, 0, 0.16, 0.16, 0.15,
            0.12),
)
# fmt: on


def random_species(rng: np.random.Generator) -> Species:
    """One of the known birds; a flock shares it."""
    return SPECIES[int(rng.integers(len(SPECIES)))]


def bird(rng: np.random.Generator, kind: Species) -> Model:
    """One bird of the species in a random phase of its wing beat."""
    model = Model()
    tint = rng.uniform(0.88, 1.1)
    _body(model, kind, tint)
    beat = rng.uniform(-1.0, 1.0)
    if kind.fingers and rng.random() < 0.55:
        beat = rng.uniform(0.1, 0.35)  # soaring
    fold = rng.uniform(0.0, 0.25) + 0.25 * max(-beat, 0.0)
    for mirror in (False, True):
        _wing(rng, model, kind, beat + rng.uniform(-0.06, 0.06), fold, tint, mirror)
    return model


def _body(model: Model, kind: Species, tint: float) -> None:
    neck = kind.neck
    places = np.array([-0.44, -0.30, -0.12, 0.08, 0.22, 0.30 + neck, 0.37 + neck, 0.43 + neck])
    slim = 0.62 if neck > 0.1 else 0.78
    sizes = np.array([0.18, 0.58, 0.95, 1.0, slim + 0.1, slim, 0.66, 0.30]) * kind.girth
    if neck > 0.1:
        sizes[4:6] *= 0.62  # a long neck is thin up to the head
    along = np.linspace(places[0], places[-1], 18)
    radii = np.interp(along, places, sizes)
    radii[1:-1] = (radii[:-2] + 2 * radii[1:-1] + radii[2:]) / 4
    rise = 0.10 * np.clip((along - 0.1) / 0.4, 0, 1.2) ** 2 * (0.3 if neck > 0.1 else 1.0)
    path = np.stack([along, np.zeros_like(along), rise - 0.02], axis=1)

    sides = 12
    turn = (np.arange(sides) + 0.5) * 2 * np.pi / sides
    # tube() measures the turn from the side and puts the top at a quarter turn.
    upper = np.clip(0.5 + 1.5 * np.sin(turn), 0, 1)[None, :, None]
    colour = np.array(kind.belly) + upper * (np.array(kind.back) - np.array(kind.belly))
    colour = np.broadcast_to(colour, (17, sides, 3)).copy()
    hooded = np.clip((along[:-1] - (0.22 + 0.6 * neck)) / 0.06, 0, 1)[:, None, None]
    colour += hooded * (np.array(kind.head) - colour)
    model.tube(path, radii, colour * tint, sides=sides, gloss=0.04)

    tip = path[-1]
    long = 0.10 + 0.25 * max(kind.neck, 0.0) * (kind.legs > 0)
    beak = tip + np.array([(-0.03, 0, 0), (long * 0.5, 0, -0.008), (long, 0, -0.025)])
    model.tube(beak, np.array([0.034, 0.022, 0.004]), kind.beak, sides=6)
    for side in (-1, 1):
        eye = tip + vec(-0.05, side * kind.girth * 0.47, 0.018)
        model.blob(eye, (0.013, 0.008, 0.013), (0.03, 0.03, 0.03), sections=5, sides=6)
        if kind.legs:
            start = np.array([-0.30, side * 0.03, -0.06])
            end = start + vec(-kind.legs - 0.25, side * 0.01, -0.02)
            model.bar(start, end, 0.011, (0.16, 0.15, 0.14), sides=5)
    _tail(model, kind, tint)


def _tail(model: Model, kind: Species, tint: float) -> None:
    """Feathers in a fan; a fork shortens the middle ones."""
    count = 7
    for feather, place in enumerate(np.linspace(-1, 1, count)):
        length = kind.tail * (1 - kind.fork * (1 - abs(place)))
        angle = place * kind.spread * 2.2
        start = np.array([-0.36, 0.025 * place, -0.02])
        end = start + vec(-length - 0.06, np.sin(angle) * (length + 0.06), 0.004 * feather)
        share = np.array([0.0, 0.6, 1.0])[:, None]
        path = start + share * (end - start)
        wide = np.array([0.03, 0.045, 0.026]) * (1 if kind.spread > 0.1 else 0.8)
        colour = np.array(kind.back) * 0.55 + np.array(kind.tips) * 0.45
        model.tube(path, wide, colour * tint * (0.9 + 0.04 * feather), flat=0.12, sides=6, gloss=0)


def _wing(
    rng: np.random.Generator,
    model: Model,
    kind: Species,
    beat: float,
    fold: float,
    tint: float,
    mirror: bool,
) -> None:
    sections = 28
    share = np.linspace(0, 1, sections)
    # The arm leads the beat and the hand follows it, which bends the wing.
    inner, outer = 0.85 * beat + 0.05, 0.85 * beat - 0.55 * (1.0 - abs(beat)) * np.sign(beat + 0.4)
    hand = np.clip((share - 0.25) / 0.4, 0, 1)
    slope = inner + (outer - inner) * hand * hand * (3 - 2 * hand)
    step = (1 - 0.35 * fold) / (sections - 1)
    across = 0.03 + np.concatenate([[0], np.cumsum(np.cos(slope[1:]) * step)])
    height = 0.03 + np.concatenate([[0], np.cumsum(np.sin(slope[1:]) * step)])
    sweep = kind.sweep + 0.5 * fold
    ahead = 0.16 + 0.12 * np.sin(np.pi * np.clip(share / 0.8, 0, 1)) * (1 - 0.3 * fold)
    ahead = ahead - sweep * np.clip(share - 0.38, 0, None) ** 1.4 / 0.51
    lead = np.stack([ahead, across, height], axis=1)
    rounding = np.sqrt(1 - np.minimum(share, 0.999) ** kind.square)
    width = kind.chord * (1 - kind.taper * share) * rounding
    scallop = 1 + 0.035 * (np.arange(sections) % 2)
    up = np.stack([np.zeros_like(slope), -np.sin(slope), np.cos(slope)], axis=1)
    thick = 0.10 * (1 - 0.8 * share)
    model.wing(
        lead,
        np.maximum(width * scallop, 0.012),
        thick,
        _plumage(rng, kind, tint),
        up=up,
        camber=0.09,
        gloss=0.03,
        mirror=mirror,
    )

    for finger in range(kind.fingers):
        place = (finger + 0.5) / kind.fingers
        root = min(int(sections * (0.97 - 0.10 * place)), sections - 2)
        base = lead[root] - [place * width[root] * 0.9, 0, 0]
        spread = 0.55 - 1.35 * place - 0.4 * sweep
        length = kind.chord * (0.62 - 0.22 * place)
        lift = slope[-1] + 0.28
        outward = np.cos(spread)
        out = vec(np.sin(spread), outward * np.cos(lift), outward * np.sin(lift))
        path = base + np.array([-0.15, 0.6, 1.0])[:, None] * length * out
        if mirror:
            path[:, 1] *= -1
        model.tube(
            path,
            np.array([0.035, 0.030, 0.010]),
            np.array(kind.tips) * tint,
            flat=0.15,
            sides=6,
            gloss=0,
        )


def _plumage(rng: np.random.Generator, kind: Species, tint: float) -> Array:
    """Colours of a wing: pale coverts, darker flight feathers and tips, barring underneath."""
    sections = 27
    share = ((np.arange(sections) + 0.5) / sections)[:, None]
    rear = np.clip((FACE_CHORD - 0.45) / 0.25, 0, 1)[None]
    tipped = np.clip((share - 0.74 + 0.14 * rear) / 0.12, 0, 1)[..., None]
    coat = np.where(FACE_UPPER[None, :, None], np.array(kind.back), np.array(kind.under))
    coat = np.broadcast_to(coat, (sections, SECTION_SIDES, 3))
    feathers = 1 - 0.14 * rear - 0.05 * rear * (np.arange(sections)[:, None] % 2)
    bars = 1 - kind.bands * rear * (~FACE_UPPER)[None] * (np.sin(share * 60) > 0.1)
    mottle = 1 + 0.05 * rng.standard_normal((sections, SECTION_SIDES))
    shade = (feathers * bars * mottle)[..., None]
    painted: Array = (coat + tipped * (np.array(kind.tips) - coat)) * shade * tint
    return painted
