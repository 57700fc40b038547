"""What is known of the judged photos beside their class: by the scan for the test split, by the files for a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import polars as pl

from fledged.engine import n_workers
from fledged.errors import ProductError
from fledged.measuring.photos import Photo
from fledged.measuring.slices import Values
from fledged.products import Dataset, Snapshot
from fledged.scanning.probe import Probe, probe
from fledged.settings.lake import ScanConfig
from fledged.workspace import Workspace

_QUALITY = ("width_px", "height_px", "brightness", "sharpness", "format")
_ORIGIN = ("source_url", "query")

# The names of traits, as the page shows them.
SIZE, BRIGHTNESS, SHARPNESS, FORMAT, FOLDER = "shorter side (px)", "brightness", "sharpness", "format", "folder"
SITE, QUERY = "source site", "search words"


def of_test_split(photos: Sequence[Photo], dataset: Dataset, workspace: Workspace) -> Mapping[str, Values] | None:
    """The traits of each photo, as the scan found them; None where the snapshot is no longer here."""
    try:
        snapshot = workspace.load(Snapshot, dataset.snapshot_id)
    except ProductError:
        return None
    known = snapshot.photos(["path", *_QUALITY, *_ORIGIN])
    wanted = pl.DataFrame({"path": pl.Series([photo.path for photo in photos], dtype=pl.String)})
    rows = wanted.join(known.unique("path", keep="first"), on="path", how="left", maintain_order="left")
    columns = {name: rows[name].to_list() for name in (*_QUALITY, *_ORIGIN)}
    site = [_site(url) if url else None for url in columns["source_url"]]
    return {**_common(photos, dataset.classes, columns), SITE: site, QUERY: columns["query"]}


def of_folder(photos: Sequence[Photo], classes: Sequence[str]) -> Mapping[str, Values]:
    """The traits of each photo, measured now as a scan would; a file that cannot be read has none."""
    limits = ScanConfig()
    max_pixels, max_bytes = int(limits.max_megapixels * 1e6), int(limits.max_megabytes * 2**20)

    def probed(photo: Photo) -> Probe:
        return probe(photo.file, max_pixels, max_bytes)

    with ThreadPoolExecutor(n_workers(0)) as pool:
        found = list(pool.map(probed, photos))
    return _common(photos, classes, {name: [getattr(row, name) for row in found] for name in _QUALITY})


def _common(
    photos: Sequence[Photo], classes: Sequence[str], columns: Mapping[str, list[float | str | None]]
) -> dict[str, Values]:
    sides = zip(columns["width_px"], columns["height_px"], strict=True)
    return {
        SIZE: [
            None if width is None or height is None else min(float(width), float(height)) for width, height in sides
        ],
        BRIGHTNESS: columns["brightness"],
        SHARPNESS: columns["sharpness"],
        FORMAT: columns["format"],
        FOLDER: [_folder(photo.path, classes) for photo in photos],
    }


def _folder(path: str, classes: Sequence[str]) -> str:
    """The folders of a photo but those named after a class, which would be slices by class."""
    parts = [part for part in PurePosixPath(path).parent.parts if part not in classes]
    return "/".join(parts) or "the class folder itself"


def _site(url: str) -> str | None:
    return (urlsplit(url).hostname or "").removeprefix("www.") or None
