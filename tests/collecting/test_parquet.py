"""Parquet files as Hugging Face `datasets` and other tools write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fledged.collecting.offers import Offer, Photo, Refused
from fledged.collecting.parquet import holding_photos, open_parquet
from fledged.errors import ConfigError, LakeError
from tests.collecting.photos import photo


def write(path: Path, **columns: Sequence[object]) -> Path:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def told(offers: list[Offer]) -> list[tuple[object, ...]]:
    return [
        (offer.name, offer.label, offer.split, offer.group, offer.read() == photo(1))
        if isinstance(offer, Photo)
        else (offer.what, offer.reason)
        for offer in offers
        if isinstance(offer, Photo | Refused)
    ]


def test_what_datasets_writes_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["owl", "hawk"])})
    rows = {"image": [{"bytes": photo(1), "path": "1.jpg"}, {"bytes": photo(2), "path": None}], "label": [1, 0]}
    path = tmp_path / "train.parquet"
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)
    assert told(list(open_parquet([path], "").items)) == [
        ("1.jpg", "hawk", None, None, True),
        ("train.parquet: row 2", "owl", None, None, False),
    ]


def test_text_labels_groups_and_splits(tmp_path: Path) -> None:
    image = [{"bytes": photo(1), "path": "1.jpg"}]
    train = write(tmp_path / "train-00000-of-00001.parquet", image=image, label=["owl"], group=[7])
    test = write(tmp_path / "test/0000.parquet", image=image, label=["owl"], group=["b"])
    assert told(list(open_parquet([train, test], "").items)) == [
        ("1.jpg", "owl", "train", "7", True),
        ("1.jpg", "owl", "test", "b", True),
    ]


def test_rows_without_a_photo_or_class_are_named(tmp_path: Path) -> None:
    images = [
        {"bytes": None, "path": "/etc/passwd"},
        {"bytes": photo(1), "path": None},
        {"bytes": photo(1), "path": "x"},
    ]
    path = write(tmp_path / "a.parquet", image=images, label=["owl", None, "../owl"])
    assert told(list(open_parquet([path], "").items)) == [
        ("a.parquet: row 1", "names no photo"),
        ("a.parquet: row 2", "no class"),
        ("a.parquet: row 3", "not a class name"),
    ]


def test_what_has_not_the_columns_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no column of photos.*It has: a"):
        open_parquet([write(tmp_path / "a.parquet", a=[1])], "")
    unlabelled = write(tmp_path / "b.parquet", image=[{"bytes": photo(1), "path": "x"}])
    with pytest.raises(ConfigError, match="no column of labels"):
        open_parquet([unlabelled], "")
    assert told(list(open_parquet([unlabelled], "owl").items)) == [("x", "owl", None, None, True)]
    (tmp_path / "c.parquet").write_bytes(b"PAR1 words PAR1")
    with pytest.raises(LakeError, match="cannot be read"):
        open_parquet([tmp_path / "c.parquet"], "")


def test_a_table_that_is_damaged_in_its_middle_gives_what_it_can(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    images = [{"bytes": photo(seed), "path": f"{seed}.jpg"} for seed in range(8)]
    pq.write_table(pa.table({"image": images, "label": ["owl"] * 8}), path, row_group_size=2, compression="zstd")
    # The header of a page in the third of four groups.
    at = pq.read_metadata(path).row_group(2).column(0).data_page_offset
    data = path.read_bytes()
    path.write_bytes(data[:at] + b"\xff" * 40 + data[at + 40 :])
    offers = list(open_parquet([path], "").items)
    assert any(isinstance(offer, Refused) and offer.reason == "the table is damaged" for offer in offers)


def test_of_a_folder_only_tables_of_photos_are_read_and_the_others_named(tmp_path: Path) -> None:
    good = write(tmp_path / "a.parquet", image=[{"bytes": photo(1), "path": "x"}], label=["owl"])
    other = write(tmp_path / "b.parquet", a=[1], b=[2])
    half = tmp_path / "c.parquet"
    half.write_bytes(good.read_bytes()[:-20])
    tables, others = holding_photos([good, other, half])
    assert tables == [good]
    assert [(row.what, row.reason, row.again) for row in others] == [
        ("b.parquet", "a table without photos", False),
        ("c.parquet", "the table is damaged", True),
    ]
    assert others[0].detail == "it has: a, b"
