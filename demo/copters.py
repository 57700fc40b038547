"""Multicopters of two sizes, with features of the one on some of the other."""

from __future__ import annotations

import numpy as np

from demo.mesh import Array, Colour, Model, vec

_CARBON = (0.11, 0.11, 0.12)
_RED, _GREEN, _BLUE = (1.0, 0.16, 0.10), (0.20, 1.0, 0.36), (0.40, 0.60, 1.0)


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return colours[int(rng.integers(len(colours)))]


def _around(count: int, length: float, stretch: float) -> Array:
    """Arm ends of a multicopter, none of them straight ahead."""
    turn = (np.arange(count) + 0.5) * 2 * np.pi / count
    return np.stack([np.cos(turn) * length * stretch, np.sin(turn) * length, 0 * turn], axis=1)


def _spin(
    rng: np.random.Generator,
    model: Model,
    hub: Array,
    radius: float,
    frozen: bool,
    blades: int,
) -> None:
    """A propeller: blurred by its turning, or frozen by a fast shutter."""
    phase = rng.uniform(0, np.pi)
    tone = rng.uniform(0.10, 0.30)
    if not frozen:
        alpha = rng.uniform(0.10, 0.30)
        model.rotor(hub, (0, 0, 1), radius, (tone, tone, tone), alpha, phase, blades)
        return
    for blade in range(blades):
        turn = phase + blade * 2 * np.pi / blades
        out = np.array([np.cos(turn), np.sin(turn), 0.02])
        path = hub + np.linspace(0.03, 1, 6)[:, None] * radius * out
        wide = np.array([0.026, 0.040, 0.044, 0.040, 0.032, 0.018]) * radius / 0.4
        model.tube(path, wide, (tone, tone, tone), flat=0.14, sides=6, gloss=0.3)


def large_quadcopter(rng: np.random.Generator) -> Model:
    """A working machine: frame, long arms, skids, a camera under it, now and then six rotors."""
    model = Model()
    shell = _pick(
        rng,
        (
            _CARBON,
            (0.17, 0.18, 0.20),
            (0.30, 0.31, 0.33),
            (0.86, 0.86, 0.85),
            (0.86, 0.86, 0.85),
            (0.80, 0.42, 0.10),
            (0.52, 0.54, 0.55),
        ),
    )
    frame = _CARBON if rng.random() < 0.65 else shell
    compact = rng.random() < 0.09  # built like its small relatives
    count = 6 if rng.random() < 0.32 and not compact else 4
    length = 0.82 if compact else rng.uniform(0.92, 1.1)
    ends = _around(count, length, rng.uniform(0.85, 1.1)) + vec(0, 0, rng.uniform(0.0, 0.10))
    hull = np.array([rng.uniform(0.30, 0.40), rng.uniform(0.20, 0.28), rng.uniform(0.10, 0.15)])
    power = 0.75 if compact else rng.uniform(0.42, 0.65)
    model.blob((0, 0, 0), hull, shell, power=power, sections=11, sides=16, gloss=0.3)
    if rng.random() < 0.6:
        model.blob((-0.04, 0, hull[2] * 0.9), hull * [0.62, 0.6, 0.5], frame, power=0.5)
    frozen = rng.random() < 0.3
    blades = 3 if rng.random() < 0.15 else 2
    thick = rng.uniform(0.032, 0.050)
    lit = rng.random() < 0.55
    for end in ends:
        model.bar(end * 0.16, end, thick, frame, taper=0.85)
        top, bottom = end + vec(0, 0, 0.10), end + vec(0, 0, -0.05)
        model.bar(bottom, top, 0.062, (0.16, 0.16, 0.17), sides=8, pieces=2)
        radius = (0.34 if count == 6 else 0.46) * rng.uniform(0.97, 1.03)
        _spin(rng, model, end + vec(0, 0, 0.13), radius, frozen, blades)
        if lit:
            model.lamp(end + vec(0, 0, -0.06), _RED if end[0] > 0 else _GREEN)
    if not compact or rng.random() < 0.35:
        _skids(rng, model, hull, frame)
    if rng.random() < (0.5 if compact else 0.85):
        _gimbal(rng, model, hull, rng.uniform(0.8, 1.15))
    if rng.random() < 0.4:
        foot = np.array([-0.12, 0.06, hull[2]])
        model.bar(foot, foot + vec(0, 0, 0.16), 0.012, _CARBON, sides=5)
        model.blob(foot + vec(0, 0, 0.17), (0.055, 0.055, 0.02), (0.85, 0.85, 0.84), sections=5)
    return model


def _skids(rng: np.random.Generator, model: Model, hull: Array, colour: Colour) -> None:
    drop = rng.uniform(0.30, 0.48)
    for side in (-1, 1):
        foot = np.array([0.0, side * (hull[1] + rng.uniform(0.08, 0.10)), -drop])
        for fore in (-0.16, 0.16):
            hip = vec(fore * 0.7, side * hull[1] * 0.6, -0.06)
            model.bar(hip, foot + vec(fore, 0, 0), 0.024, colour)
        model.bar(foot + vec(-0.36, 0, 0), foot + vec(0.36, 0, 0), 0.026, colour)


def _gimbal(rng: np.random.Generator, model: Model, hull: Array, size: float) -> None:
    """A ball or box camera that hangs under the nose."""
    grey = rng.uniform(0.08, 0.30)
    colour = (grey, grey, grey * 1.04)
    at = np.array([hull[0] * 0.45, 0, -hull[2] - 0.12 * size])
    model.bar(at + vec(0, 0, 0.12 * size), at, 0.03 * size, _CARBON, pieces=2)
    box = 0.55 if rng.random() < 0.5 else 1.0
    model.blob(at, np.array([0.105, 0.095, 0.09]) * size, colour, power=box, gloss=0.5)
    lens = at + vec(0.10 * size, 0, -0.01)
    model.bar(
        lens - vec(0.02, 0, 0),
        lens + vec(0.05 * size, 0, 0),
        0.045 * size,
        (0.05, 0.05, 0.07),
        pieces=1,
        sides=8,
    )


def small_quadcopter(rng: np.random.Generator) -> Model:
    """A toy or pocket machine: rounded shell, stubby arms, often a guard round each rotor."""
    model = Model()
    shell = _pick(
        rng,
        (
            (0.90, 0.90, 0.89),
            (0.90, 0.90, 0.89),
            (0.24, 0.25, 0.27),
            _CARBON,
            (0.58, 0.60, 0.62),
            (0.84, 0.22, 0.16),
            (0.20, 0.42, 0.76),
            (0.93, 0.68, 0.12),
            (0.24, 0.60, 0.44),
        ),
    )
    accent = _pick(rng, (_CARBON, (0.85, 0.86, 0.86), (0.86, 0.36, 0.10), (0.30, 0.31, 0.34)))
    sturdy = rng.random() < 0.09  # built like its large relatives
    length = rng.uniform(0.80, 0.95) if sturdy else rng.uniform(0.58, 0.76)
    ends = _around(4, length, rng.uniform(0.9, 1.1)) + vec(0, 0, rng.uniform(-0.02, 0.07))
    hull = np.array([rng.uniform(0.36, 0.48), rng.uniform(0.21, 0.32), rng.uniform(0.10, 0.15)])
    power = 0.62 if sturdy else rng.uniform(0.75, 1.0)
    model.blob((0, 0, 0), hull, shell, power=power, sections=13, sides=18, gloss=0.5)
    if rng.random() < 0.6:
        model.blob((0.03, 0, hull[2] * 0.35), hull * [0.75, 0.72, 0.8], accent, gloss=0.5)
    guarded = rng.random() < 0.68 and not sturdy
    radius = length * rng.uniform(0.44, 0.52)
    frozen = rng.random() < 0.25
    blades = int(rng.integers(2, 4))
    lit = rng.random() < 0.5
    arm = shell if rng.random() < 0.6 else accent
    rim = accent if rng.random() < 0.6 else shell
    for end in ends:
        model.bar(end * 0.25, end, 0.055 if not sturdy else 0.04, arm, taper=0.8)
        model.bar(end + vec(0, 0, -0.07), end + vec(0, 0, 0.06), 0.055, accent, sides=8, pieces=2)
        _spin(rng, model, end + vec(0, 0, 0.08), radius, frozen, blades)
        if guarded:
            model.torus(end + vec(0, 0, 0.05), radius * 1.1, (0.024, rng.uniform(0.03, 0.07)), rim)
        if sturdy or rng.random() < 0.5:
            model.bar(end * 0.92, end * 0.95 + vec(0, 0, -0.20), 0.022, arm, pieces=2)
        if lit:
            model.lamp(end + vec(0, 0, -0.07), _BLUE if end[0] > 0 else _RED)
    if sturdy and rng.random() < 0.6:
        _gimbal(rng, model, hull, 0.8)
    elif sturdy:
        _skids(rng, model, hull, accent)
    else:
        model.blob((hull[0] * 0.93, 0, -0.03), (0.05, 0.06, 0.05), (0.05, 0.05, 0.07), gloss=0.8)
    return model
