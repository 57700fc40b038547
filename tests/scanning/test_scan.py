"""A lake becomes a Snapshot: everything in it is a row, and what has not changed is not read again."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from demo.drawing import Planted
from fledged import summary
from fledged.errors import LakeError
from fledged.places import Changed
from fledged.reading import Spot, read
from fledged.scanning import probe as probing
from fledged.scanning import scan as scanning
from fledged.scanning.provenance import COLUMNS
from fledged.scanning.scan import scan
from tests.rot import flip_a_bit

_TOLD = ("path", "label", "lake_split", "sha256", "error", *COLUMNS)


def test_every_file_is_a_photo_an_error_or_skipped(messy_lake: tuple[Path, Planted], tmp_path: Path) -> None:
    lake, planted = messy_lake
    snapshot = scan(lake, work=tmp_path)
    photos = snapshot.photos()
    unreadable = photos.filter(photos["error"].is_not_null())
    assert sorted(unreadable["path"]) == sorted(planted.unreadable)
    assert sorted(photos["path"]) == sorted(set(planted.photos) - set(planted.skipped))
    assert sorted(snapshot.skipped()["path"]) == sorted(planted.skipped)
    assert snapshot.n_photos == photos.height
    assert snapshot.n_unreadable == len(planted.unreadable)
    assert sum(snapshot.labels.values()) == photos.height - unreadable.height


def test_a_second_scan_reads_no_file_again(
    messy_lake: tuple[Path, Planted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, _ = messy_lake
    first = scan(lake, work=tmp_path, workers=1)

    def never(*_: object) -> None:
        raise AssertionError("a file was read again")

    monkeypatch.setattr(probing, "probe", never)
    assert scan(lake, work=tmp_path, workers=1) == first


def test_a_bit_that_flips_in_what_is_remembered_goes_into_no_snapshot(clean_lake: Path, tmp_path: Path) -> None:
    first = scan(clean_lake, work=tmp_path, workers=1)
    (memory,) = tmp_path.glob("cache/probes/*.parquet")
    whole = memory.read_bytes()
    flip_a_bit(memory)
    assert scan(clean_lake, work=tmp_path, workers=1) == first
    assert memory.read_bytes() == whole


def test_only_changed_files_are_read_again(clean_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(clean_lake, lake)
    first = scan(lake, work=tmp_path / "work", workers=1)
    photos = sorted(lake.rglob("*.[jJ][pP]*"))
    photos[0].write_bytes(photos[1].read_bytes())
    photos[2].unlink()
    asked: list[str] = []
    original = probing.probe

    def noted(file: Spot, **limits: int) -> probing.Probe:
        asked.append(file.place)
        return original(file, **limits)

    monkeypatch.setattr(probing, "probe", noted)
    second = scan(lake, work=tmp_path / "work", workers=1)
    assert asked == [str(photos[0])]
    assert second.id != first.id
    assert second.n_photos == first.n_photos - 1


def test_photos_that_cannot_be_read_for_a_moment_are_asked_again(
    clean_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = (OSError(errno.EIO, "Input/output error"), Changed("meanwhile"), FileNotFoundError())
    spoilt = dict(zip(map(str, sorted(clean_lake.rglob("*.[jJ][pP]*"))), reasons, strict=False))

    def fail(file: Spot, max_bytes: int) -> bytes:
        if file.place in spoilt:
            raise spoilt[file.place]
        return read(file, max_bytes)

    with monkeypatch.context() as disk:
        disk.setattr(probing, "read", fail)
        assert scan(clean_lake, work=tmp_path, workers=1).n_unreadable == len(reasons)
    assert scan(clean_lake, work=tmp_path, workers=1).n_unreadable == 0


def test_the_id_does_not_depend_on_times_or_the_order_of_folders(clean_lake: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(clean_lake, lake)
    first = scan(lake, work=tmp_path / "a")
    for path in lake.rglob("*"):
        os.utime(path, (1, 1))
    assert scan(lake, work=tmp_path / "b").id == first.id


@pytest.mark.parametrize("n", [0, 1, 4, 5])
def test_the_content_is_hashed_part_by_part_as_if_it_were_whole(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pl.DataFrame(
        {name: [f"{name}'{i}" if i % 2 else None for i in range(n)] for name in _TOLD}, dict.fromkeys(_TOLD, pl.String)
    )
    monkeypatch.setattr(scanning, "_HASHED", 2)
    assert scanning._content(rows) == hashlib.sha256(repr(rows.select(_TOLD).rows()).encode()).hexdigest()


def test_many_processes_give_what_one_gives(clean_lake: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    for copy in range(3):
        shutil.copytree(clean_lake, lake / f"class{copy}")
    alone = scan(lake, work=tmp_path / "a", workers=1)
    together = scan(lake, work=tmp_path / "b", workers=2)
    assert alone.id == together.id
    assert alone.photos().equals(together.photos())


@pytest.mark.parametrize("files", [[], ["a.jpg"], ["owl/notes.txt"]])
def test_a_lake_without_photos_in_class_folders_is_a_clear_error(tmp_path: Path, files: list[str]) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    for name in files:
        (lake / name).parent.mkdir(exist_ok=True)
        (lake / name).write_bytes(b"text")
    with pytest.raises(LakeError, match="Give each class a folder"):
        scan(lake, work=tmp_path / "work")


def test_an_empty_class_is_told(clean_lake: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(clean_lake, lake)
    before = scan(lake, work=tmp_path / "work")
    (lake / "empty").mkdir()
    snapshot = scan(lake, work=tmp_path / "work")
    assert snapshot.labels["empty"] == 0
    assert snapshot.id != before.id
    assert any("empty" in line for line in summary.lines(snapshot))


def test_a_folder_that_disappears_while_it_is_scanned_is_rows_with_a_reason(
    clean_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(clean_lake, lake)
    original = probing.probe

    def racing(path: str, **limits: int) -> probing.Probe:
        shutil.rmtree(lake / "winged_drone", ignore_errors=True)
        return original(path, **limits)

    monkeypatch.setattr(probing, "probe", racing)
    snapshot = scan(lake, work=tmp_path / "work", workers=1)
    gone = snapshot.photos().filter(pl.col("error").is_not_null())
    assert set(gone["label"]) == {"winged_drone"}
    assert set(gone["error"]) == {"vanished while it was scanned"}
    assert snapshot.labels["winged_drone"] == 0
    monkeypatch.setattr(probing, "probe", original)
    again = scan(lake, work=tmp_path / "work")
    assert again.changes_by_kind == {"removed": gone.height}


def test_damaged_metadata_is_no_noise(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    lake = tmp_path / "lake" / "owl"
    lake.mkdir(parents=True)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0f\x01\x02\0"  # five tags are promised, and a part of one follows
    Image.new("RGB", (80, 60), (90, 120, 200)).save(lake / "a.jpg", exif=exif)
    assert scan(tmp_path / "lake", work=tmp_path / "work").n_unreadable == 0
    assert not [warning for warning in recwarn if "PIL" in warning.filename]
