"""All that the page shows of photos: galleries, neighbours from training, heatmaps, and what they say of confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from fledged.errors import ProductError
from fledged.measuring.answering import Answers
from fledged.measuring.confusions import PairFacts, what_would_help
from fledged.measuring.network import network_of
from fledged.measuring.photos import Photo
from fledged.measuring.subject import Subject
from fledged.pages.thumbnails import Thumbnail
from fledged.products import Dataset, Review
from fledged.progress import Report
from fledged.settings.results import EvaluateConfig
from fledged.showing.gallery import Gallery, doubted_rows, gallery_of
from fledged.showing.heatmaps import Heatmaps, heatmaps_of
from fledged.showing.neighbours import Neighbours, neighbours_of
from fledged.workspace import Workspace

_MOST_LOOKED_UP = 500  # mistakes; with more, their neighbours would be most of the page


@dataclass(frozen=True, slots=True)
class Exhibits:
    """What is shown; None where the run's weights, or its dataset, are not here."""

    gallery: Gallery
    neighbours: Neighbours | None
    heatmaps: Heatmaps | None
    would_help: tuple[str, ...]  # against the most frequent confusion

    def pictures(self) -> Iterator[Thumbnail]:
        """All of them."""
        gallery = self.gallery
        shown = [photo for group in gallery.mistakes for photo in group.shown]
        shown += [photo for group in gallery.right for photo in (*group.least, *group.most)]
        near = [near for nearest in self.neighbours.of.values() for near in nearest] if self.neighbours else []
        of_maps = [(one.seen, *one.maps, one.for_true) for one in self.heatmaps.looked] if self.heatmaps else []
        for picture in (
            *(photo.thumbnail for photo in (*shown, *gallery.doubts)),
            *(photo.thumbnail for photo in near),
            *(picture for pictures in of_maps for picture in pictures),
        ):
            if picture is not None:
                yield picture


def exhibits_of(
    answers: Answers,
    subject: Subject,
    dataset: Dataset | None,
    config: EvaluateConfig,
    workspace: Workspace,
    report: Report,
) -> Exhibits:
    """All that the page shows of these answers."""
    page = config.page
    gallery = gallery_of(answers, config.gallery, page.right, page.doubts)
    neighbours, heatmaps = None, None
    network = network_of(subject, workspace) if page.neighbours or page.heatmaps else None
    if network and dataset and page.neighbours:
        wrong = sorted((photo for group in gallery.mistakes for photo in group.shown), key=lambda one: -one.confidence)
        positions = answers.answered
        photos = {shown.row: answers.photos[positions[shown.row]] for shown in wrong[:_MOST_LOOKED_UP]}
        neighbours = neighbours_of(photos, network, dataset, page.neighbours, workspace, report)
    if network and page.heatmaps:
        heatmaps = heatmaps_of(answers, gallery, network, page, report)
    facts = _facts(answers, gallery, neighbours, dataset, workspace)
    return Exhibits(gallery, neighbours, heatmaps, tuple(what_would_help(facts)) if facts else ())


def _facts(
    answers: Answers, gallery: Gallery, neighbours: Neighbours | None, dataset: Dataset | None, workspace: Workspace
) -> PairFacts | None:
    """About the most frequent confusion; None where nothing was mistaken."""
    cells = list(zip(answers.true.tolist(), answers.predicted.tolist(), strict=True))
    wrong = Counter((t, p) for t, p in cells if t != p)
    if not wrong:
        return None
    n_of_class = Counter(t for t, _ in cells)
    (true, answered), n = min(wrong.items(), key=lambda item: (-item[1], -item[1] / n_of_class[item[0][0]], item[0]))
    rows = {row for row, cell in enumerate(cells) if cell == (true, answered)}
    names, positions = answers.classes, answers.answered
    trained = dataset.photos_by_split["train"] if dataset else None
    nearest = {row: near[0].label for row, near in neighbours.of.items() if row in rows} if neighbours else {}
    return PairFacts(
        true=names[true],
        predicted=names[answered],
        n=n,
        n_doubtful=sum(row in rows and nearest.get(row) != names[true] for row in doubted_rows(answers)),
        n_copies=_n_copies([answers.photos[positions[row]] for row in rows], names[answered], dataset, workspace),
        n_looked_up=len(nearest),
        n_nearest_answered=list(nearest.values()).count(names[answered]),
        n_nearest_true=list(nearest.values()).count(names[true]),
        n_trained_true=trained.get(names[true], 0) if trained else None,
        n_trained_predicted=trained.get(names[answered], 0) if trained else None,
    )


def _n_copies(photos: list[Photo], label: str, dataset: Dataset | None, workspace: Workspace) -> int | None:
    """How many of these photos the review found to be the same picture as one with this label; None if unknown."""
    if dataset is None:
        return None
    try:
        findings = workspace.load(Review, dataset.review_id).findings()
    except ProductError:
        return None
    members = dataset.members().select("path", "sha256", "label")
    labelled = set(members.filter(pl.col("label") == label)["path"])
    reviewed = set(members.select("path", "sha256").rows())  # a folder's photo may have the path of another
    paths = {photo.path for photo in photos if (photo.path, photo.sha256) in reviewed}
    same = findings.filter(pl.col("kind") == "label_conflict").select("path", "related_path").drop_nulls()
    related = {pair for one, other in same.rows() for pair in ((one, other), (other, one))}
    return len({path for path, other in related if other in labelled} & paths)
