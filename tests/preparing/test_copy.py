"""The dataset for other tools, and back: the same photos, labels and splits."""

from __future__ import annotations

import csv
import hashlib
import shutil
from pathlib import Path

import polars as pl
import pytest
from PIL import ExifTags, Image

from demo.drawing import Planted, draw_photo
from fledged.cli import app
from fledged.collecting.collect import collect
from fledged.errors import ConfigError, LakeError
from fledged.preparing.copy import COLUMNS, copy
from fledged.preparing.prepare import prepare
from fledged.products import SPLITS, Dataset
from fledged.reviewing import decisions
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from tests.tiny import TINY


@pytest.fixture(scope="module")
def work(messy_lake: tuple[Path, Planted], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copied")
    scan(messy_lake[0], work=folder)
    review(work=folder, train=TINY)
    prepare(work=folder, shorter_side_px=64)
    return folder


@pytest.fixture(scope="module")
def dataset(work: Path) -> Dataset:
    return prepare(work=work, shorter_side_px=64)


def truth(dataset: Dataset) -> dict[str, tuple[str, str]]:
    """sha256 -> label and split."""
    used = dataset.members().filter(pl.col("split").is_not_null())
    return {sha256: (label, split) for sha256, label, split in used.select("sha256", "label", "split").rows()}


def rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_tree_holds_the_original_bytes_under_plain_names(dataset: Dataset, work: Path, tmp_path: Path) -> None:
    copied = copy(dataset, tmp_path / "tree", work=work)
    assert (copied.n_photos, copied.left_out) == (len(truth(dataset)), {})
    files = [path for path in (tmp_path / "tree").rglob("*.*") if path.name != "manifest.csv"]
    found = {}
    for path in files:
        assert path.name.isascii()
        assert path.stat().st_nlink == 1
        split, label = path.relative_to(tmp_path / "tree").parts[:2]
        found[hashlib.sha256(path.read_bytes()).hexdigest()] = (label, split)
    assert found == truth(dataset)
    listed = {(tmp_path / "tree" / row["image_path"]): row["sha256"] for row in rows(tmp_path / "tree/manifest.csv")}
    assert listed == {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_tree_comes_back_with_the_same_splits_and_labels(dataset: Dataset, work: Path, tmp_path: Path) -> None:
    copy(dataset, tmp_path / "tree", work=work)
    scan(tmp_path / "tree", work=tmp_path / "work")
    review(work=tmp_path / "work", train=TINY)
    again = prepare(work=tmp_path / "work", keep_splits=True, shorter_side_px=64)
    assert truth(again) == truth(dataset)
    assert (again.n_leaks, again.left_out) == (0, {})


def test_torchvision_reads_a_tree(clean_lake: Path, tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    scan(clean_lake, work=tmp_path / "work")
    review(work=tmp_path / "work", train=TINY)
    dataset = prepare(work=tmp_path / "work", shorter_side_px=64)
    copy(None, tmp_path / "tree", work=tmp_path / "work")
    for split in SPLITS:
        images = ImageFolder(tmp_path / "tree" / split)
        assert len(images) == dataset.n_in(split)
        assert tuple(images.classes) == dataset.classes


def test_a_manifest_names_the_lakes_own_files(dataset: Dataset, work: Path, tmp_path: Path) -> None:
    copy(dataset, tmp_path / "photos.csv", format="csv", work=work)
    listed = rows(tmp_path / "photos.csv")
    assert tuple(listed[0]) == COLUMNS
    assert {row["sha256"]: (row["label"], row["split"]) for row in listed} == truth(dataset)
    for row in listed:
        assert hashlib.sha256(Path(row["image_path"]).read_bytes()).hexdigest() == row["sha256"]
    assert len({row["group"] for row in listed}) == dataset.n_groups


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_hugging_face_datasets_loads_the_copy_by_its_folder(dataset: Dataset, work: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    copy(dataset, tmp_path / "shards", format="parquet", work=work)
    loaded = datasets.load_dataset(str(tmp_path / "shards"), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation", "test"}
    names = loaded["train"].features["label"].names
    found = {
        row["sha256"]: (names[row["label"]], "val" if split == "validation" else split)
        for split in loaded
        for row in loaded[split].remove_columns("image")
    }
    assert found == truth(dataset)
    group_of = dict(dataset.members().select("sha256", "group").rows())
    all_rows = [row for split in loaded for row in loaded[split].remove_columns("image")]
    assert {row["sha256"]: row["group"] for row in all_rows} == {sha256: group_of[sha256] for sha256 in truth(dataset)}


def test_shrunk_copies_come_back_with_their_splits_and_groups(dataset: Dataset, work: Path, tmp_path: Path) -> None:
    """Shrunk copies have no time of the shot any more, and nobody's group but the one that is written beside them."""
    copy(dataset, tmp_path / "shards", format="parquet", work=work)
    collected = collect(tmp_path / "shards", tmp_path / "lake")
    assert (collected.n_new, collected.refused) == (len(truth(dataset)), {})
    photos = scan(tmp_path / "lake", work=tmp_path / "work").photos()
    before = dataset.members().filter(pl.col("split").is_not_null())
    told = ("path", "label", "split", "group")
    back = photos.select("original_name", "label", "lake_split", "user_group")
    assert sorted(back.rows()) == sorted(before.select(told).rows())


def test_files_that_changed_or_vanished_are_counted_and_not_copied(clean_lake: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(clean_lake, lake)
    scan(lake, work=tmp_path / "work")
    review(work=tmp_path / "work", train=TINY)
    dataset = prepare(work=tmp_path / "work", shorter_side_px=64)
    first, second, *_ = sorted(path for path in lake.rglob("*.*") if path.is_file())
    first.unlink()
    second.write_bytes(second.read_bytes() + b"more")
    copied = copy(dataset, tmp_path / "tree", work=tmp_path / "work")
    assert copied.left_out == {"vanished since the scan": 1, "changed since the scan": 1}
    assert copied.n_photos == len(truth(dataset)) - 2 == len(rows(tmp_path / "tree/manifest.csv"))


def test_a_photo_that_is_wanted_twice_is_there_twice(clean_lake: Path, tmp_path: Path) -> None:
    lake, work = tmp_path / "lake", tmp_path / "work"
    shutil.copytree(clean_lake, lake)
    photo = min(path for path in lake.rglob("*.jpg"))
    shutil.copy(photo, photo.with_name("zz copy of it.jpg"))
    work.mkdir()
    path = photo.with_name("zz copy of it.jpg").relative_to(lake)
    (work / "decisions.jsonl").write_text(f'{{"path": "{path}", "action": "keep"}}\n')
    scan(lake, work=work)
    review(work=work, train=TINY)
    dataset = prepare(work=work, shorter_side_px=64)
    assert dataset.members().filter(pl.col("left_out") == "exact duplicate").is_empty()
    assert copy(dataset, tmp_path / "tree", work=work).n_photos == 41
    assert len(list((tmp_path / "tree").rglob("*.jpg"))) == 41


def test_who_copies_original_files_is_told_of_those_that_say_where_they_were_taken(
    clean_lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake, work = tmp_path / "lake", tmp_path / "work"
    shutil.copytree(clean_lake, lake)
    exif = Image.Exif()
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", (52.0, 31.0, 12.0)
    draw_photo("flying_bird", 9, (96, 72)).save(lake / "flying_bird" / "placed.jpg", exif=exif)
    scan(lake, work=work)
    review(work=work, train=TINY)
    prepare(work=work, shorter_side_px=64)
    app(["copy", str(tmp_path / "tree"), "--work", str(work)], standalone_mode=False)
    assert "1 of these files says where it was taken" in capsys.readouterr().out
    assert copy(None, tmp_path / "hf", format="parquet", work=work).n_with_place == 0


def test_places_and_labels_that_cannot_be_are_refused_and_nothing_is_left(
    dataset: Dataset, work: Path, clean_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="something already"):
        copy(dataset, tmp_path, work=work)
    with pytest.raises(ConfigError, match="not lie in the lake"):
        copy(dataset, Path(dataset.lake) / "copy", work=work)
    with pytest.raises(ConfigError, match=r"no format `tar`.*imagefolder"):
        copy(dataset, tmp_path / "x", format="tar", work=work)  # type: ignore[arg-type]
    monkeypatch.setattr(decisions, "folder_name", str)  # which lets no such label in
    own = tmp_path / "work"
    own.mkdir()
    first = sorted((clean_lake / "flying_bird").iterdir())[:4]
    lines = [f'{{"path": "flying_bird/{path.name}", "action": "relabel", "label": "../up"}}' for path in first]
    (own / "decisions.jsonl").write_text("\n".join(lines))
    scan(clean_lake, work=own)
    review(work=own, train=TINY)
    odd = prepare(work=own, shorter_side_px=64)
    with pytest.raises(LakeError, match=r"`\.\./up` cannot be the name of a folder"):
        copy(odd, tmp_path / "tree", work=own)
    assert {path.name for path in tmp_path.iterdir()} == {"work"}
