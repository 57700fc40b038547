"""The photos that people gave feedback on, each in the class that was said most often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fledged.collecting.offers import Offer, Offers, Photo, Refusal, clean_label, refused
from fledged.collecting.tables import read_file
from fledged.feedback import ENGINE, PHOTOS, Feedback, read_feedback


def open_feedback(folder: Path, label: str, max_bytes: int) -> Offers:
    """A photo for each that feedback was given on; with `label`, those alone that it was said of."""
    by_photo: dict[str, list[Feedback]] = {}
    for line in read_feedback(folder):
        by_photo.setdefault(line.sha256, []).append(line)
    claims = [_claim(lines) for lines in by_photo.values()]
    chosen = [claim for claim in claims if label in ("", claim.said)]
    files = {path.stem: path for path in (folder / PHOTOS).glob("*")}

    def offers() -> Iterator[Offer]:
        for claim in chosen:
            file = files.get(claim.sha256, folder / PHOTOS / claim.sha256)
            try:
                own = clean_label(claim.said)
            except Refusal as why:
                yield refused(file.name, None, why)
                continue
            # The key: what was looked at and taken out of the lake again does not come back.
            yield Photo(
                file.name,
                own,
                partial(read_file, file, max_bytes),
                origin=ENGINE,
                key=f"{ENGINE}:{claim.sha256}:{own}",
                answered=claim.answered,
            )

    return Offers(len(chosen), offers())


def _claim(lines: list[Feedback]) -> Feedback:
    """What was said most often, of equally often the latest; as its latest line has it."""
    votes = Counter(line.said for line in lines)
    most = max(votes.values())
    return next(line for line in reversed(lines) if votes[line.said] == most)
