"""Draws a model with one light by the painter's algorithm, large at first and then shrunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from demo.mesh import Array, Colour, Model, Sheet, cross

OVERSAMPLING = 3


@dataclass(frozen=True)
class Light:
    """Where the light of a scene comes from; colours are linear factors, not 8-bit values."""

    sun: Array  # unit vector towards the sun: x right, y away from the camera, z up
    sunlight: Array
    skylight: Array
    groundlight: Array


@dataclass(frozen=True)
class Rendered:
    """A drawn model: an RGBA patch, and where its lamps ended up on it."""

    patch: Image.Image
    lamps: tuple[tuple[float, float, Colour], ...]


def render(
    model: Model,
    attitude: Array,
    elevation: float,
    light: Light,
    size_px: float,
) -> Rendered:
    """Draw the model turned by `attitude`, seen by a camera that looks up by `elevation`."""
    points = np.concatenate(model.points) @ attitude.T
    faces = np.concatenate(model.faces)
    quads = points[faces]
    normals = _normals(model, quads)
    colours = np.concatenate(model.colours)
    gloss = np.concatenate(model.gloss)
    look = np.array([0.0, np.cos(elevation), np.sin(elevation)])
    above = np.array([0.0, -np.sin(elevation), np.cos(elevation)])

    def project(places: Array) -> tuple[Array, Array]:
        depth = places @ look
        near = 6.0 / (6.0 + depth)
        return np.stack([places[..., 0] * near, -(places @ above) * near], axis=-1), depth

    flat, depth = project(points)
    sheets = [project(sheet.quads @ attitude.T) for sheet in model.sheets]
    everything = np.concatenate([flat] + [s[0].reshape(-1, 2) for s in sheets])
    low, high = everything.min(axis=0), everything.max(axis=0)
    scale = OVERSAMPLING * size_px / max(high[0] - low[0], 1.25 * (high[1] - low[1]))
    margin = 2 * OVERSAMPLING
    # Whole multiples, so that shrinking leaves no half-covered last row.
    spans = np.ceil(((high - low) * scale + 2 * margin) / OVERSAMPLING) * OVERSAMPLING
    width, height = int(spans[0]), int(spans[1])

    eye = -6.0 * look - quads.mean(axis=1)
    keep = np.flatnonzero((normals * eye).sum(axis=1) > 0)
    eye /= np.linalg.norm(eye, axis=1, keepdims=True)
    shaded = _shade(colours[keep], normals[keep], eye[keep], gloss[keep], light)
    fills = (np.clip(shaded, 0, 1) * 255).astype(int).tolist()
    corners = ((flat - low) * scale + margin)[faces[keep]].reshape(-1, 8).tolist()
    distance = depth[faces[keep]].mean(axis=1).tolist()

    patch = Image.new("RGBA", (width, height))
    pen = ImageDraw.Draw(patch)
    order: list[tuple[float, int]] = [(-far, index) for index, far in enumerate(distance)]
    order += [(-float(s[1].mean()), -1 - index) for index, s in enumerate(sheets)]
    for _, index in sorted(order):
        if index >= 0:
            red, green, blue = fills[index]
            pen.polygon(corners[index], fill=(red, green, blue, 255))
        else:
            rim = (sheets[-1 - index][0] - low) * scale + margin
            _draw_sheet(patch, model.sheets[-1 - index], rim, light)
    lamps = []
    for place, colour in model.lamps:
        spot = (project(place @ attitude.T)[0] - low) * scale + margin
        lamps.append((spot[0] / OVERSAMPLING, spot[1] / OVERSAMPLING, colour))
    return Rendered(patch.reduce(OVERSAMPLING), tuple(lamps))


def _normals(model: Model, quads: Array) -> Array:
    """Unit normals of all faces, pointing out of their shapes."""
    normals = cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
    # Every shape is closed and its faces are wound alike, so the sign of its volume tells
    # which way is out, even for a thin bent wing.
    sizes = [len(part) for part in model.faces]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    volumes = np.add.reduceat((normals * quads.sum(axis=1)).sum(axis=1), starts)
    normals *= np.repeat(np.where(volumes < 0, -1.0, 1.0), sizes)[:, None]
    pointing: Array = normals / (np.sqrt((normals**2).sum(axis=1, keepdims=True)) + 1e-12)
    return pointing


def _shade(colours: Array, normals: Array, eye: Array, gloss: Array, light: Light) -> Array:
    """Sky from above, ground from below, sun from its side, and a highlight on glossy shells."""
    facing = np.clip(normals @ light.sun, 0, None)[:, None]
    upness = (0.5 + 0.5 * normals[:, 2])[:, None]
    lit = light.groundlight + upness * (light.skylight - light.groundlight)
    half = eye + light.sun
    half /= np.linalg.norm(half, axis=1, keepdims=True) + 1e-9
    shine = np.clip((normals * half).sum(axis=1), 0, None) ** 18 * gloss
    shaded: Array = colours * (lit + facing * light.sunlight) + shine[:, None] * light.sunlight
    return shaded


def _draw_sheet(patch: Image.Image, sheet: Sheet, points: Array, light: Light) -> None:
    low = np.floor(points.min(axis=(0, 1))).astype(int) - 1
    high = np.ceil(points.max(axis=(0, 1))).astype(int) + 2
    layer = Image.new("RGBA", (int(high[0] - low[0]), int(high[1] - low[1])))
    pen = ImageDraw.Draw(layer)
    lit = np.clip(sheet.colours * (light.skylight * 0.6 + light.sunlight * 0.4), 0, 1) * 255
    for quad, colour, alpha in zip(points - low, lit.astype(int), sheet.alphas, strict=True):
        fill = (int(colour[0]), int(colour[1]), int(colour[2]), int(255 * min(alpha, 1.0)))
        pen.polygon(quad.reshape(-1).tolist(), fill=fill)
    patch.alpha_composite(layer, (max(int(low[0]), 0), max(int(low[1]), 0)))


def turned(heading: float, pitch: float, roll: float) -> Array:
    """Rotation matrix: roll about the nose, then nose up by `pitch`, then turn to `heading`."""
    ch, sh, cp, sp = np.cos(heading), np.sin(heading), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, -sp], [0, 1, 0], [sp, 0, cp]])
    about_z = np.array([[ch, -sh, 0], [sh, ch, 0], [0, 0, 1]])
    spun: Array = about_z @ about_y @ about_x
    return spun
