"""Decisions for people without time: what the findings advise, where no person has decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import polars as pl

from fledged.reviewing.decisions import Decision, standing_decisions
from fledged.reviewing.log import DecisionLog, as_shown
from fledged.reviewing.ties import tied_together

REVIEWER = "advice"


def apply_advice(log: DecisionLog, photos: pl.DataFrame, findings: pl.DataFrame) -> int:
    """Append a decision for each finding whose advice is drop or relabel; how many there were.

    Photos that are decided already stay as they are, so that doing it twice appends nothing.
    """
    while True:
        now = log.follow()
        standing = standing_decisions(log.path, photos).decisions
        dropped = set(standing.filter(pl.col("action") == "drop")["path"])
        advised = advised_decisions(photos, findings, decided=set(standing["path"]), dropped=dropped)
        if not advised or log.append(advised, [as_shown(now.get(decision.path)) for decision in advised]):
            return len(advised)


def advised_decisions(
    photos: pl.DataFrame, findings: pl.DataFrame, decided: set[str], dropped: set[str]
) -> list[Decision]:
    """A decision a photo that is advised to be dropped or relabelled and is not in `decided`, by path.

    Where both are advised, drop wins. Of photos that show the same, one stays unless `dropped` (by people) or faults
    of their own rule out every one; it is the one with the most pixels.
    """
    rows = findings.filter(pl.col("advice").is_in(["drop", "relabel"])).sort("score", descending=True, nulls_last=True)
    of_photo = {
        path: (label, sha256 or "", (width or 0) * (height or 0))
        for path, label, sha256, width, height in photos.select(
            "path", "label", "sha256", "width_px", "height_px"
        ).iter_rows()
    }
    copies: dict[str, set[str]] = defaultdict(set)
    faulty: set[str] = set()
    relabelled: dict[str, str] = {}
    for path, related, suggested, advice in rows.select(
        "path", "related_path", "suggested_label", "advice"
    ).iter_rows():
        if path not in of_photo:
            continue
        if advice == "relabel":
            if suggested and suggested != of_photo[path][0]:
                relabelled.setdefault(path, suggested)
        elif related:
            copies[path].add(related)
        else:
            faulty.add(path)
    # A photo that a person kept is no copy to drop; a faulty one may be dropped whatever it is a copy of.
    out = (set(copies) | faulty) - decided
    pixels = {path: n_pixels for path, (_, _, n_pixels) in of_photo.items()}
    out -= _last_of_their_kind(copies, out, out | dropped, faulty, pixels)
    decisions = [Decision(path=path, action="drop", reviewer=REVIEWER, sha256=of_photo[path][1]) for path in out] + [
        Decision(path=path, action="relabel", label=label, reviewer=REVIEWER, sha256=of_photo[path][1])
        for path, label in relabelled.items()
        if path not in out and path not in decided
    ]
    return sorted(decisions, key=lambda decision: decision.path)


def _last_of_their_kind(
    copies: Mapping[str, set[str]], out: set[str], gone: set[str], faulty: set[str], pixels: Mapping[str, int]
) -> set[str]:
    """Of each group of copies that would be dropped as a whole, the one to keep."""
    kept = set()
    for group in tied_together((path, related) for path, others in copies.items() for related in others):
        if group <= gone and (candidates := (group & out) - faulty):
            kept.add(max(sorted(candidates), key=lambda path: pixels.get(path, 0)))
    return kept
