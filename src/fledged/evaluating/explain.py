"""The door: photos with heatmaps of what speaks for their answers, at several depths."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from fledged import images, progress
from fledged.config import resolve
from fledged.errors import ConfigError, ProductError
from fledged.images import BadPhoto, UInt8Array
from fledged.measuring import photos as labelled
from fledged.measuring.explanation import ExplainedPhoto, Explanation
from fledged.measuring.network import network_of
from fledged.measuring.photos import Photo
from fledged.measuring.subject import Probabilities, Subject, find_subject
from fledged.networks import deletion
from fledged.networks.gradcam import Depth, chosen, heat, observe
from fledged.networks.model import Classifier
from fledged.pages import words
from fledged.pages.thumbnails import Thumbnail, of_image
from fledged.predicting.files import find_photos
from fledged.products import Bundle, ClassScore, Run
from fledged.settings.results import ExplainConfig
from fledged.showing.overlays import framed, overlay
from fledged.showing.sheets import png, sheet
from fledged.showing.templates import template
from fledged.workspace import DEFAULT, Workspace
from fledged.writing import write_bytes

_TILE_PX = 256
_JPEG_QUALITY = 85
_ELSEWHERE = 3


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture and what is below it."""

    picture: Image.Image
    words: str
    alt: str

    @property
    def thumbnail(self) -> Thumbnail:
        """For the page."""
        return of_image(self.picture.copy(), _TILE_PX, _JPEG_QUALITY)


@dataclass(frozen=True, slots=True)
class _Network:
    """Who answers, and where it is looked into."""

    classes: tuple[str, ...]
    probabilities: Probabilities
    accepts: Callable[[UInt8Array], bool]  # whether a square (S, S, 3) is like photos that it was trained on
    model: Classifier
    depths: tuple[Depth, ...]


def explain(
    photos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    subject: Run | Bundle | str | os.PathLike[str] | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    **settings: object,
) -> Explanation:
    """What a model says of photos and where it finds what speaks for that: a page, and a picture a photo.

    `photos` are files, and folders of them. `subject` is a run, a bundle whose run is here, `run:ID`, `bundle:ID` or a
    bundle's folder; by default the newest run. `settings` are the fields of `config.ExplainConfig`. Raises ProductError
    without the run's weights, and ConfigError for a network that keeps no map of places.
    """
    config = resolve(ExplainConfig, settings)
    workspace = Workspace(work)
    judged = find_subject(workspace, subject)
    network = _opened(judged, workspace, config)
    single = isinstance(photos, str | os.PathLike)
    files = labelled.unlabelled(find_photos([photos] if single else photos))  # type: ignore[list-item, arg-type]
    asked = [judged.name, config.model_dump_json(), *(f"{photo.path} {photo.sha256}" for photo in files)]
    folder = workspace.root / "explanations" / hashlib.sha256("\n".join(asked).encode()).hexdigest()[:12]
    done: list[tuple[ExplainedPhoto, list[Tile]]] = []
    for number, photo in enumerate(progress.track(files, "Explaining", len(files), report or progress.default()), 1):
        done.append(_explained(photo, network, config, folder / _name(number, photo)))
    write_bytes(folder / "explain.html", _page(done, judged, network.depths).encode())
    workspace.share(folder)
    return Explanation(
        subject=judged.name,
        page=str(folder / "explain.html"),
        blocks=tuple(depth.block for depth in network.depths),
        photos=tuple(photo for photo, _ in done),
    )


def _opened(judged: Subject, workspace: Workspace, config: ExplainConfig) -> _Network:
    network = network_of(judged, workspace)
    if network is None:
        raise ProductError(
            f"The weights of run {judged.run_id}, which {judged.name} was made of, are not here",
            where=workspace.root,
            remedy="Name the working folder that has them with --work DIR.",
        )
    observed = observe(network.model, network.run.backbone.name)
    if not observed.depths:
        raise ConfigError(
            f"{network.run.backbone.name} keeps no map of places: Grad-CAM does not suit it",
            remedy="Take a convolutional backbone.",
        )
    depths = chosen(observed.depths, config.blocks)
    return _Network(judged.classes, judged.load(), _accepts(judged), observed.network, depths)


def _accepts(judged: Subject) -> Callable[[UInt8Array], bool]:
    if judged.unknown is None or judged.load_scored is None:
        return lambda _: True
    scored, threshold = judged.load_scored(), judged.unknown.threshold
    return lambda square: bool(scored(np.stack([square]))[1][0] <= threshold)


def _explained(photo: Photo, network: _Network, config: ExplainConfig, file: Path) -> tuple[ExplainedPhoto, list[Tile]]:
    how = network.model.embed.how
    try:
        data = labelled.read(photo)
        square = images.model_input(data, how)
        _, whole = images.decode(data, at_least_px=_TILE_PX)
    except BadPhoto as reason:
        return ExplainedPhoto(path=photo.path, error=str(reason)), []
    scores_C = network.probabilities(np.stack([square]))[0]
    order = np.argsort(-scores_C, kind="stable").tolist()
    maps_KDSS = heat(network.model, network.depths, square, order[:2]).maps_KDSS
    names = [words.visible(network.classes[index]) for index in order[:2]]
    tiles = [
        Tile(framed(whole, how, _TILE_PX), "the photo", "The whole photo; what the network did not see is dark"),
        Tile(Image.fromarray(square), "as seen", "What the network saw of it"),
        *(_of_map(square, map_SS, names[0], depth) for map_SS, depth in zip(maps_KDSS[0], network.depths, strict=True)),
        *(
            _of_map(square, of_class[-1], name, network.depths[-1])
            for of_class, name in zip(maps_KDSS[1:], names[1:], strict=True)
        ),
    ]
    accepted = network.accepts(square)
    title = words.answer(network.classes[order[0]], float(scores_C[order[0]]), accepted)
    write_bytes(file, png(sheet([(tile.picture, tile.words) for tile in tiles], len(tiles), title=title)))

    def left(heat_SS: deletion.Float32Array) -> float:
        by_heat = deletion.curve(network.probabilities, square, deletion.hottest_first(heat_SS), order[0])
        return deletion.area(by_heat)

    last_SS = maps_KDSS[0, -1]
    explained = ExplainedPhoto(
        path=photo.path,
        label=network.classes[order[0]],
        confidence=float(scores_C[order[0]]),
        scores=tuple(ClassScore(label=network.classes[i], score=float(scores_C[i])) for i in order[: config.top_k]),
        accepted=accepted,
        picture=str(file),
        left_by_heat=left(last_SS),
        left_elsewhere=float(np.mean([left(deletion.elsewhere(last_SS, seed)) for seed in range(_ELSEWHERE)])),
    )
    return explained, tiles


def _of_map(
    square: images.UInt8Array, map_SS: np.ndarray[tuple[int, int], np.dtype[np.float32]], name: str, depth: Depth
) -> Tile:
    said = f"for {name}, block {depth.block}" if map_SS.any() else f"nothing for {name}, block {depth.block}"
    return Tile(overlay(square, map_SS), said, f"What speaks for {name} at block {depth.block}")


def _name(number: int, photo: Photo) -> str:
    """Of the picture: the photo's name may hold anything."""
    return f"{number:03d}-{re.sub(r'[^0-9A-Za-z_-]+', '_', PurePosixPath(photo.path).stem)[:60]}.png"


def _page(done: list[tuple[ExplainedPhoto, list[Tile]]], judged: Subject, depths: tuple[Depth, ...]) -> str:
    return template("looking/explain.html.jinja").render(
        done=done, subject=judged, depths=depths, question=words.question(judged.classes), n_elsewhere=_ELSEWHERE
    )
