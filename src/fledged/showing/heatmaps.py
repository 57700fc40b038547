"""Where the network looked: heatmaps of some photos of the page, at several depths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

from PIL import Image

from fledged import images
from fledged.images import BadPhoto
from fledged.measuring import photos as labelled
from fledged.measuring.answering import Answers
from fledged.measuring.network import Network
from fledged.networks.gradcam import Depth, Float32Array, chosen, heats, observe
from fledged.pages.thumbnails import Thumbnail, of_image
from fledged.progress import Report, track
from fledged.settings.results import PageConfig
from fledged.showing.gallery import JPEG_QUALITY, THUMBNAIL_PX, Gallery, Shown
from fledged.showing.overlays import overlay

_AT_ONCE = 4  # photos in one pass, of which all activations are in memory


@dataclass(frozen=True, slots=True)
class Looked:
    """A photo as the network saw it, and where it found what speaks for the answer."""

    photo: Shown
    seen: Thumbnail
    maps: tuple[Thumbnail | None, ...]  # for the answered class, a depth each; None where nothing speaks for it
    for_true: Thumbnail | None  # for the true class, at the last depth, where the answer was another


@dataclass(frozen=True, slots=True)
class Heatmaps:
    """Photos with their maps; without depths, this network has none to show."""

    depths: tuple[Depth, ...]
    looked: tuple[Looked, ...]


def heatmaps_of(answers: Answers, gallery: Gallery, network: Network, page: PageConfig, report: Report) -> Heatmaps:
    """The maps of the most confident mistakes and, for a third of the photos, of the most confident right answers."""
    observed = observe(network.model, network.run.backbone.name)
    depths = chosen(observed.depths, page.heatmap_blocks) if observed.depths else ()
    photos = _photos(gallery, page.heatmaps) if depths else []
    looked: list[Looked] = []
    seen = _seen(track(photos, "Drawing heatmaps", len(photos), report), answers, network)
    while some := list(islice(seen, _AT_ONCE)):
        classes = [sorted({answered, true}, key=lambda i: i != answered) for _, _, answered, true in some]
        found = heats(observed.network, depths, [square for _, square, _, _ in some], classes)
        looked += [
            _looked(shown, square, maps.maps_KDSS) for (shown, square, _, _), maps in zip(some, found, strict=True)
        ]
    return Heatmaps(depths, tuple(looked))


def _seen(
    shown: Iterable[Shown], answers: Answers, network: Network
) -> Iterator[tuple[Shown, images.UInt8Array, int, int]]:
    """Photos that can be read, what the network sees of them, the answered class and the true one."""
    for one in shown:
        photo = answers.photos[answers.answered[one.row]]
        try:
            square = images.model_input(labelled.read(photo), network.run.preprocess)
        except BadPhoto:
            continue
        yield one, square, int(answers.predicted[one.row]), photo.class_index


def _looked(shown: Shown, square: images.UInt8Array, maps_KDSS: Float32Array) -> Looked:
    """With a second class, which is the true one, where the answer was another."""
    pictures = [_picture(overlay(square, of_depth)) if of_depth.any() else None for of_depth in maps_KDSS[0]]
    last_SS = maps_KDSS[-1, -1]
    for_true = _picture(overlay(square, last_SS)) if len(maps_KDSS) > 1 and last_SS.any() else None
    return Looked(shown, _picture(Image.fromarray(square)), tuple(pictures), for_true)


def _photos(gallery: Gallery, limit: int) -> list[Shown]:
    wrong = sorted((shown for group in gallery.mistakes for shown in group.shown), key=lambda shown: -shown.confidence)
    in_turn = zip_longest(*(group.most or group.least for group in gallery.right))
    right = [shown for shown in chain.from_iterable(in_turn) if shown is not None]
    n_right = min(len(right), max(limit // 3, limit - len(wrong)))
    return [*wrong[: limit - n_right], *right[:n_right]]


def _picture(image: Image.Image) -> Thumbnail:
    return of_image(image, THUMBNAIL_PX, JPEG_QUALITY)
