"""A snapshot and its review become a Dataset: no group on two sides, shrunk copies, a reason for all left out."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from demo.drawing import Planted
from fledged.errors import ConfigError, LakeError
from fledged.preparing.prepare import prepare
from fledged.products import SPLITS, Dataset
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.workspace import Workspace
from tests.tiny import TINY


@pytest.fixture(scope="module")
def dataset(messy_lake: tuple[Path, Planted], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    work = tmp_path_factory.mktemp("work")
    snapshot = scan(messy_lake[0], work=work)
    return prepare(snapshot, review(snapshot, work=work, train=TINY), work=work, shorter_side_px=64)


def test_every_photo_is_in_a_split_or_left_out_with_a_reason(
    dataset: Dataset, messy_lake: tuple[Path, Planted]
) -> None:
    members, planted = dataset.members(), messy_lake[1]
    assert members.filter(pl.col("split").is_null() == pl.col("left_out").is_null()).is_empty()
    assert sorted(members["path"]) == sorted(set(planted.photos) - set(planted.skipped))
    assert sum(dataset.left_out.values()) + sum(dataset.n_in(split) for split in SPLITS) == members.height
    assert dataset.left_out["unreadable"] == len(planted.unreadable)


def test_no_group_and_no_planted_pair_is_on_two_sides(dataset: Dataset, messy_lake: tuple[Path, Planted]) -> None:
    used = dataset.members().filter(pl.col("split").is_not_null())
    assert used.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
    split = dict(used.select("path", "split").rows())
    for first, second in messy_lake[1].near_duplicates:
        assert split[first] == split[second]


def test_shards_hold_small_upright_copies_without_metadata(dataset: Dataset) -> None:
    classes = dataset.classes
    for split in SPLITS:
        rows = pl.concat([pl.read_parquet(shard) for shard in dataset.shards(split)])
        assert rows.height == dataset.n_in(split)
        for image, label in rows.select("image", "label").rows():
            copy = Image.open(io.BytesIO(image["bytes"]))
            assert copy.format == "JPEG"
            assert min(copy.size) <= 64  # small photos stay as they are
            assert not dict(copy.getexif())
            assert dataset.members().filter(pl.col("path") == image["path"])["label"].item() == classes[label]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_hugging_face_datasets_loads_the_shards(dataset: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    files = {split: [str(shard) for shard in dataset.shards(split)] for split in SPLITS}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    assert loaded["train"].features["label"].names == list(dataset.classes)
    assert loaded["train"][0]["image"].size[0] >= 64
    assert len(loaded["test"]) == dataset.n_in("test")


def test_the_same_question_finds_the_same_dataset(clean_lake: Path, tmp_path: Path) -> None:
    snapshot = scan(clean_lake, work=tmp_path)
    found = review(snapshot, work=tmp_path, train=TINY)
    first = prepare(snapshot, found, work=tmp_path)
    before = (first.folder / "members.parquet").stat().st_mtime_ns
    assert prepare(work=tmp_path) == first
    assert (first.folder / "members.parquet").stat().st_mtime_ns == before
    assert prepare(work=tmp_path, seed=7).id != first.id


def test_two_folders_give_the_same_bytes(clean_lake: Path, tmp_path: Path) -> None:
    files = []
    for name in "ab":
        scan(clean_lake, work=tmp_path / name)
        review(work=tmp_path / name, train=TINY)
        files.append(prepare(work=tmp_path / name).files)
    assert files[0] == files[1]


def test_files_that_changed_or_vanished_since_the_scan_are_left_out(clean_lake: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(clean_lake, lake)
    scan(lake, work=tmp_path / "work")
    review(work=tmp_path / "work", train=TINY)
    first, second, *_ = sorted(path for path in lake.rglob("*.*") if path.is_file())
    first.unlink()
    second.write_bytes(second.read_bytes() + b"more")
    dataset = prepare(work=tmp_path / "work")
    assert dataset.left_out == {"changed since the scan": 1, "vanished since the scan": 1}
    lost = dataset.members().filter(pl.col("left_out").is_not_null())
    assert lost["split"].null_count() == lost["class_index"].null_count() == 2


def test_a_review_of_another_snapshot_is_refused(clean_lake: Path, tmp_path: Path) -> None:
    snapshot = scan(clean_lake, work=tmp_path)
    of_it = review(snapshot, work=tmp_path, train=TINY)
    lake = tmp_path / "lake"
    shutil.copytree(clean_lake, lake)
    other = scan(lake, work=tmp_path)
    with pytest.raises(LakeError, match="another snapshot"):
        prepare(other, of_it, work=tmp_path)


def splits_of(dataset: Dataset) -> dict[str, str]:
    return dict(dataset.members().filter(pl.col("split").is_not_null()).select("sha256", "split").rows())


def test_decisions_that_the_review_does_not_know_are_told(
    clean_lake: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot = scan(clean_lake, work=tmp_path)
    made = review(snapshot, work=tmp_path, train=TINY)
    prepare(work=tmp_path, shorter_side_px=64)
    assert "Decisions" not in caplog.text
    path = snapshot.photos(["path"])["path"][0]
    with Workspace(tmp_path).decisions.open("w") as log:
        log.write(f'{{"path": "{path}", "action": "drop"}}\n')
    prepare(work=tmp_path, shorter_side_px=64)
    assert f"Decisions were made since review {made.id}" in caplog.text
    with Workspace(tmp_path).decisions.open("a") as log:
        log.write(f'{{"path": "{path}", "action": "undecide"}}\n')
    caplog.clear()
    assert review(snapshot, work=tmp_path, train=TINY).id == made.id
    prepare(work=tmp_path, shorter_side_px=64)
    assert "Decisions" not in caplog.text


def test_a_class_to_leave_out_that_is_none_is_refused(messy_lake: tuple[Path, Planted], tmp_path: Path) -> None:
    snapshot = scan(messy_lake[0], work=tmp_path)
    label = sorted(snapshot.photos()["label"].unique())[0]
    with pytest.raises(ConfigError, match=rf"no class `{label}x` \(--drop-classes\)\. Did you mean `{label}`"):
        prepare(snapshot, review(snapshot, work=tmp_path, train=TINY), work=tmp_path, drop_classes=(f"{label}x",))


def test_photos_that_come_and_go_move_nobody(messy_lake: tuple[Path, Planted], tmp_path: Path) -> None:
    lake, work = tmp_path / "lake", tmp_path / "work"
    photos = sorted(path for path in messy_lake[0].rglob("*") if path.is_file() and not path.name.startswith("."))
    known: dict[str, str] = {}
    # Every third photo is missing at first, then all are there, then every fourth is gone.
    for there in (
        [i % 3 > 0 for i in range(len(photos))],
        [True] * len(photos),
        [i % 4 > 0 for i in range(len(photos))],
    ):
        shutil.rmtree(lake, ignore_errors=True)
        for photo, wanted in zip(photos, there, strict=True):
            if wanted:
                target = lake / photo.relative_to(messy_lake[0])
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(photo, target)
        snapshot = scan(lake, work=work)
        dataset = prepare(snapshot, review(snapshot, work=work, train=TINY), work=work, shorter_side_px=64)
        now = splits_of(dataset)
        assert {sha256: known[sha256] for sha256 in now.keys() & known.keys()}.items() <= now.items()
        assert len(now.keys() & known.keys()) > 10 or not known
        used = dataset.members().filter(pl.col("split").is_not_null())
        assert used.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
        assert prepare(work=work, shorter_side_px=64).id == dataset.id
        known |= now
    # The file that remembers makes another machine agree.
    other = tmp_path / "other"
    (other / "splits").mkdir(parents=True)
    for memory in (work / "splits").iterdir():
        shutil.copy(memory, other / "splits")
    snapshot = scan(lake, work=other)
    assert prepare(snapshot, review(snapshot, work=other, train=TINY), work=other, shorter_side_px=64).id == dataset.id


def test_folds_share_their_groups_and_the_whole_is_tested_once(clean_lake: Path, tmp_path: Path) -> None:
    scan(clean_lake, work=tmp_path)
    review(work=tmp_path, train=TINY)
    tests = [
        sha256
        for number in (1, 2, 3)
        for sha256, split in splits_of(prepare(work=tmp_path, shorter_side_px=64, fold=f"{number}/3")).items()
        if split == "test"
    ]
    assert len(tests) == len(set(tests)) == 40


def test_the_record_says_what_held_photos_together(dataset: Dataset, messy_lake: tuple[Path, Planted]) -> None:
    assert dataset.tied["near duplicate"] >= 2 * len(messy_lake[1].near_duplicates) - 2
    assert dataset.settings.shorter_side_px == 64
    reasons = dict(dataset.members().select("path", "group_reason").rows())
    for first, second in messy_lake[1].near_duplicates:
        assert "near duplicate" in str(reasons[first])
        assert "near duplicate" in str(reasons[second])


def test_names_that_look_like_frames_get_a_hint(
    clean_lake: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = tmp_path / "lake"
    for folder in clean_lake.iterdir():
        (lake / folder.name).mkdir(parents=True)
        for number, photo in enumerate(sorted(folder.iterdir())):
            shutil.copy(photo, lake / folder.name / f"clip-{number:04d}.jpg")
    scan(lake, work=tmp_path / "work")
    review(work=tmp_path / "work", train=TINY)
    with caplog.at_level("WARNING", logger="fledged"):
        prepare(work=tmp_path / "work", shorter_side_px=64)
    assert "--group-by" in caplog.text
    assert "clip-0000.jpg" in caplog.text
