"""Where the network looked: heatmaps of some photos of the page, at several depths."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, zip_longest

from PIL import Image

from fledged import images
from fledged.images import BadPhoto
from fledged.measuring import photos as labelled
from fledged.measuring.answering import Answers
from fledged.measuring.network import Network
from fledged.networks.gradcam import Depth, chosen, heat, observe
from fledged.pages.thumbnails import Thumbnail, of_image
from fledged.progress import Report, track
from fledged.settings.results import PageConfig
from fledged.showing.gallery import JPEG_QUALITY, THUMBNAIL_PX, Gallery, Shown
from fledged.showing.overlays import overlay


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
    looked = []
    photos = _photos(gallery, page.heatmaps) if depths else []
    positions, predicted = answers.answered, answers.predicted
    for shown in track(photos, "Drawing heatmaps", len(photos), report):
        photo = answers.photos[positions[shown.row]]
        try:
            square = images.model_input(labelled.read(photo), network.run.preprocess)
        except BadPhoto:
            continue
        answered, true = int(predicted[shown.row]), photo.class_index
        maps_KDSS = heat(
            observed.network, depths, square, sorted({answered, true}, key=lambda i: i != answered)
        ).maps_KDSS
        pictures = [_picture(overlay(square, of_depth)) if of_depth.any() else None for of_depth in maps_KDSS[0]]
        last_SS = maps_KDSS[-1, -1]
        for_true = _picture(overlay(square, last_SS)) if answered != true and last_SS.any() else None
        looked.append(Looked(shown, _picture(Image.fromarray(square)), tuple(pictures), for_true))
    return Heatmaps(depths, tuple(looked))


def _photos(gallery: Gallery, limit: int) -> list[Shown]:
    wrong = sorted((shown for group in gallery.mistakes for shown in group.shown), key=lambda shown: -shown.confidence)
    in_turn = zip_longest(*(group.most or group.least for group in gallery.right))
    right = [shown for shown in chain.from_iterable(in_turn) if shown is not None]
    n_right = min(len(right), max(limit // 3, limit - len(wrong)))
    return [*wrong[: limit - n_right], *right[:n_right]]


def _picture(image: Image.Image) -> Thumbnail:
    return of_image(image, THUMBNAIL_PX, JPEG_QUALITY)
