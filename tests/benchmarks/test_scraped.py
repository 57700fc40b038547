"""The scraped lake is what it says: its mix of classes, sizes and formats, the same each time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from PIL import Image

from benchmarks.planting.sources import drawn_sources
from benchmarks.scraped import make
from benchmarks.scraped_files import BANDS, LABELS, N_PHOTOS, OTHERS, Band, plan
from fledged.scanning.probe import probe


def test_a_plan_has_the_mix_of_the_collections_that_it_follows() -> None:
    files = plan(N_PHOTOS, tuple(LABELS))
    assert len(files) == len({file.path for file in files}) == N_PHOTOS
    kinds = Counter(file.kind for file in files)
    assert {kind: kinds[kind] for kind in OTHERS} == {kind: round(N_PHOTOS * share) for kind, share in OTHERS.items()}
    by_label = Counter(file.path.partition("/")[0] for file in files)
    for label, n in LABELS.items():
        assert abs(by_label[label] / N_PHOTOS - n / sum(LABELS.values())) < 0.01
    photos = [file for file in files if file.kind == "photo"]
    large = sum(file.size[0] * file.size[1] > 5_000_000 for file in photos)
    expected = sum(band.n for band in BANDS[3:]) / sum(band.n for band in BANDS)
    assert abs(large / len(photos) - expected) < 0.005
    assert {file.form for file in photos} == {"JPEG", "PNG", "WEBP", "GIF"}
    paths = {file.path for file in photos}
    assert all(file.of in paths for file in files if file.of is not None)


def test_a_lake_is_the_same_each_time_and_has_broken_files_and_copies(tmp_path: Path) -> None:
    sources = {label: list(drawn_sources(4, seed, (240, 180))) for seed, label in enumerate(LABELS)}
    bands = [Band(160, 120, 9, 0.2, (70, 90), (0, 3)), Band(240, 180, 1, 0.2, (70, 90), (0, 3))]
    files = make(tmp_path / "a", 400, sources, bands)
    make(tmp_path / "b", 400, sources, bands)
    made = {path.relative_to(tmp_path / "a"): path.read_bytes() for path in _files(tmp_path / "a")}
    again = {path.relative_to(tmp_path / "b"): path.read_bytes() for path in _files(tmp_path / "b")}
    assert made == again
    assert len(made) == 400
    for file in files:
        if file.kind == "exact":
            assert file.of is not None
            assert made[Path(file.path)] == made[Path(file.of)]
        if file.kind == "photo":
            with Image.open(tmp_path / "a" / file.path) as image:
                assert (image.size, image.format) == (file.size, file.form)
    n_broken = sum(file.kind == "broken" for file in files)
    assert n_broken > 0
    assert sum(probe(path, 10**8, 10**8).error is not None for path in _files(tmp_path / "a")) == n_broken


def _files(lake: Path) -> list[Path]:
    return sorted(path for path in lake.rglob("*") if path.is_file())
