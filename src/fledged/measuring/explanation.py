"""What an explanation and a test of photos hold. Imports no torch: the terminal's words are made of it."""

from __future__ import annotations

from fledged.errors import shown
from fledged.products import ClassScore
from fledged.records import Record


class ExplainedPhoto(Record):
    """A photo, its answer, and its heatmaps; or why there are none."""

    path: str
    error: str | None = None
    label: str = ""
    confidence: float = 0.0
    scores: tuple[ClassScore, ...] = ()  # most probable first
    accepted: bool = True  # False: unlike all that the model was trained on
    picture: str = ""  # PNG: the photo, what the network saw of it, and a heatmap a depth
    # Mean probability of the answer while squares of the photo are taken out, those first that are hottest at the last
    # depth, or with the same heat laid elsewhere: the lower the first is, the more the map says.
    left_by_heat: float | None = None
    left_elsewhere: float | None = None


class Explanation(Record):
    """Photos with heatmaps of what speaks for their answers."""

    subject: str  # "run:…" or "bundle:…"
    page: str
    blocks: tuple[int, ...]  # the maps are of
    photos: tuple[ExplainedPhoto, ...]

    def lines(self) -> list[str]:
        """For the terminal."""
        told = []
        for photo in self.photos:
            if photo.error:
                told.append(f"{shown(photo.path)}\terror: {shown(photo.error)}")
            else:
                classes = [f"{shown(one.label)} {one.score:.1%}" for one in photo.scores]
                told.append(
                    "\t".join([shown(photo.path), *([] if photo.accepted else ["unknown, its likeliest:"]), *classes])
                )
                told.append(f"  Saved {photo.picture}")
        return [*told, f"Page: {self.page}"]


class Grid(Record):
    """Answers to unlabelled photos, as a picture and a page."""

    subject: str
    n_photos: int  # answered ones
    n_unreadable: int
    by_class: dict[str, int]  # photos by what was answered, but for those that were refused
    n_unknown: int = 0  # refused ones: unlike all that the model was trained on
    picture: str
    page: str
    table: str  # CSV, a row a photo

    def lines(self) -> list[str]:
        """For the terminal."""
        told = [f"Answered {self.n_photos:,} photos by {self.subject}"]
        told += [f"  {' '.join(label.split()):<24} {n:,}" for label, n in self.by_class.items()]
        if self.n_unknown:
            told.append(f"  {'unknown':<24} {self.n_unknown:,}")
        if self.n_unreadable:
            told.append(f"{self.n_unreadable:,} files could not be read; {self.table} says why")
        return [*map(shown, told), f"Saved {self.picture}", f"Page: {self.page}"]
