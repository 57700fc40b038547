"""Fixed-wing machines: slender ones with all sorts of tails, and flying wings."""

from __future__ import annotations

import numpy as np

from demo.mesh import SECTION_SIDES, Array, Colour, Model, vec

_DARK = (0.11, 0.11, 0.13)
_RED, _GREEN = (1.0, 0.16, 0.10), (0.20, 1.0, 0.36)

_LIVERIES: tuple[tuple[Colour, Colour], ...] = (
    ((0.56, 0.58, 0.60), (0.50, 0.52, 0.54)),  # low-visibility greys
    ((0.66, 0.68, 0.70), (0.60, 0.62, 0.64)),
    ((0.46, 0.48, 0.46), (0.40, 0.42, 0.40)),
    ((0.92, 0.92, 0.91), (0.92, 0.44, 0.10)),
    ((0.92, 0.92, 0.91), (0.80, 0.16, 0.14)),
    ((0.93, 0.93, 0.92), (0.90, 0.90, 0.89)),
    ((0.94, 0.80, 0.26), (0.20, 0.20, 0.22)),
    ((0.44, 0.42, 0.32), (0.36, 0.36, 0.28)),
    ((0.20, 0.21, 0.23), (0.24, 0.25, 0.27)),
)


def winged_drone(rng: np.random.Generator) -> Model:
    """A fixed-wing machine: slender with a V, T or plain tail, twin-boomed, or a flying wing."""
    model = Model()
    paint, trim = _LIVERIES[int(rng.integers(len(_LIVERIES)))]
    pick = rng.random()
    if pick < 0.26:
        _flying_wing(rng, model, paint, trim)
    else:
        _with_tail(rng, model, paint, trim, booms=pick > 0.86)
    return model


def _striped(sections: int, paint: Colour, trim: Colour, start: float) -> Array:
    """Wing colours with painted ends from `start` outwards."""
    share = (np.arange(sections - 1) + 0.5) / (sections - 1)
    coat = np.where((share > start)[:, None, None], np.array(trim), np.array(paint))
    return np.broadcast_to(coat, (sections - 1, SECTION_SIDES, 3))


def _pair(
    model: Model,
    root: Array,
    chords: tuple[float, float],
    span: float,
    sweep: float,
    rise: float,
    colour: Array,
    thick: float = 0.12,
) -> None:
    """Left and right wing from `root`, straight, `rise` is the dihedral."""
    sections = len(colour) + 1
    share = np.linspace(0, 1, sections)[:, None]
    lead = root + share * np.array([-sweep, span * np.cos(rise), span * np.sin(rise)])
    chord = chords[0] + (chords[1] - chords[0]) * share[:, 0]
    chord[-1] *= 0.7  # rounds the tip
    up = (0.0, -float(np.sin(rise)), float(np.cos(rise)))
    for mirror in (False, True):
        model.wing(lead, chord, thick, colour, up=up, mirror=mirror, gloss=0.25)


def _fin(model: Model, root: Array, height: float, chord: float, colour: Colour) -> None:
    share = np.linspace(0, 1, 5)[:, None]
    lead = root + share * np.array([-0.55 * chord, 0.0, height])
    model.wing(lead, chord * (1 - 0.4 * share[:, 0]), 0.12, colour, up=(0.0, 1.0, 0.0))


def _airscrew(rng: np.random.Generator, model: Model, at: Array, radius: float) -> None:
    tone = rng.uniform(0.08, 0.25)
    if rng.random() < 0.7:
        model.rotor(
            at,
            (1, 0, 0),
            radius,
            (tone, tone, tone),
            rng.uniform(0.12, 0.34),
            rng.uniform(0, np.pi),
        )
        return
    turn = rng.uniform(0, np.pi)
    out = np.array([0.0, np.cos(turn), np.sin(turn)]) * radius
    model.tube(at + np.linspace(-1, 1, 7)[:, None] * out, 0.022, (tone, tone, tone), sides=5)


def _with_tail(
    rng: np.random.Generator,
    model: Model,
    paint: Colour,
    trim: Colour,
    booms: bool,
) -> None:
    rear = rng.uniform(0.55, 0.85)
    nose = rng.uniform(0.36, 0.55)
    girth = rng.uniform(0.055, 0.095)
    humped = rng.random() < 0.4  # room for a dish behind the nose
    places = np.array([-1.0, -0.6, -0.15, 0.3, 0.7, 0.9, 1.0])
    sizes = np.array([0.40, 0.62, 0.95, 1.05, 1.15 if humped else 0.9, 0.75, 0.15])
    along = np.linspace(-1, 1, 20)
    stretch = np.where(along < 0, 0.35 if booms else rear, nose)
    path = np.stack([along * stretch, 0 * along, np.zeros(20)], axis=1)
    if humped:
        path[:, 2] += 0.5 * girth * np.exp(-(((along - 0.65) / 0.25) ** 2))
    band = rng.random() < 0.4
    coat = np.where(
        ((along[:-1] < -0.75) | (along[:-1] > 0.8))[:, None, None] & band,
        np.array(trim),
        np.array(paint),
    )
    coat = np.broadcast_to(coat, (19, 12, 3)).copy()
    coat[:, 6:] *= rng.uniform(0.75, 1.0)  # the underside is often a shade darker
    model.tube(path, np.interp(along, places, sizes) * girth, coat, sides=12, gloss=0.35)

    slender = rng.uniform(0.12, 0.25)
    chords = (slender, slender * rng.uniform(0.45, 0.95))
    high = girth * rng.uniform(-0.3, 0.9)
    root = np.array([rng.uniform(0.02, 0.18), 0.0, high])
    start = rng.uniform(0.70, 0.86) if rng.random() < 0.55 else 2.0
    _pair(
        model,
        root,
        chords,
        rng.uniform(0.9, 1.05),
        rng.uniform(-0.02, 0.12),
        rng.uniform(0.0, 0.10),
        _striped(18, paint, trim, start),
    )

    size = rng.uniform(0.11, 0.16)
    end = np.array([-rear + size * 0.9, 0.0, 0.02])
    tail = _striped(8, paint, trim, 2.0 if rng.random() < 0.5 else 0.55)
    shape = rng.random()
    if booms:
        for side in (-1, 1):
            boom = np.array([0.0, side * 0.26, high])
            model.bar(boom, [-rear, side * 0.26, 0.02], 0.022, paint, pieces=6)
            _fin(model, np.array([-rear + size, side * 0.26, 0.0]), 0.20, size, trim)
        _pair(model, end + vec(0, 0, 0.19), (size, size * 0.9), 0.28, 0.0, 0.0, tail)
    elif shape < 0.45:
        drop = -1.0 if rng.random() < 0.2 else 1.0
        _pair(
            model,
            end,
            (size, size * 0.7),
            rng.uniform(0.28, 0.38),
            0.10,
            drop * rng.uniform(0.55, 0.85),
            tail,
        )
    elif shape < 0.75:
        height = rng.uniform(0.20, 0.28)
        _fin(model, end, height, size * 1.2, trim)
        _pair(model, end + vec(-0.07, 0, height), (size * 0.85, size * 0.6), 0.26, 0.05, 0.0, tail)
    else:
        _fin(model, end, rng.uniform(0.18, 0.26), size * 1.2, trim)
        _pair(model, end, (size, size * 0.7), 0.30, 0.06, 0.0, tail)
    pusher = booms or rng.random() < 0.6
    screw = [-(0.36 if booms else rear + 0.02), 0, 0] if pusher else [nose + 0.02, 0, 0]
    _airscrew(rng, model, np.array(screw), rng.uniform(0.13, 0.20))
    if rng.random() < 0.6:
        ball = rng.uniform(0.9, 1.2) * girth * 0.6
        at = vec(nose * 0.62, 0, -girth * 1.05)
        model.blob(at, (ball, ball, ball), _DARK, gloss=0.7)
    if rng.random() < 0.25:
        _wheels(model, nose, girth)
    if rng.random() < 0.3:
        model.lamp(root + vec(-0.1, 1.0, 0.02), _GREEN)
        model.lamp(root + vec(-0.1, -1.0, 0.02), _RED)


def _wheels(model: Model, nose: float, girth: float) -> None:
    for x, y in ((nose * 0.7, 0.0), (-0.10, 0.13), (-0.10, -0.13)):
        hip, hub = vec(x, y * 0.3, -girth * 0.7), vec(x, y, -girth - 0.11)
        model.bar(hip, hub, 0.012, (0.3, 0.3, 0.3), sides=5)
        model.blob((x, y, -girth - 0.12), (0.035, 0.014, 0.035), (0.07, 0.07, 0.07), sections=6)


def _flying_wing(rng: np.random.Generator, model: Model, paint: Colour, trim: Colour) -> None:
    """No tail: a swept wing or a delta, with or without winglets."""
    chord = rng.uniform(0.36, 0.66)
    sweep = rng.uniform(0.35, 0.62)
    start = rng.uniform(0.6, 0.8) if rng.random() < 0.6 else 2.0
    root = np.array([chord * 0.62, 0.0, 0.0])
    tip = rng.uniform(0.12, 0.24)
    rise = rng.uniform(-0.03, 0.08)
    _pair(model, root, (chord, tip), 0.98, sweep, rise, _striped(18, paint, trim, start), 0.10)
    girth = rng.uniform(0.055, 0.085)
    model.blob(
        (chord * 0.24, 0, 0.02),
        (chord * rng.uniform(0.5, 0.72), girth * 1.4, girth),
        paint,
        sections=13,
        gloss=0.35,
    )
    if rng.random() < 0.65:
        for side in (-1, 1):
            at = root + vec(-sweep - 0.01, side * 0.97 * np.cos(rise), 0.98 * np.sin(rise))
            _fin(model, at, rng.uniform(0.13, 0.20), tip * 0.95, trim)
    if rng.random() < 0.7:
        _airscrew(rng, model, np.array([-chord * 0.42, 0, 0.02]), rng.uniform(0.11, 0.16))
    if rng.random() < 0.4:
        model.blob((chord * 0.5, 0, -girth * 0.7), (0.045, 0.045, 0.045), _DARK, gloss=0.7)
