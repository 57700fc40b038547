"""The whole chain with photos and working folder in a bucket: the same as on a disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import fledged
from fledged.errors import LakeError
from fledged.evaluating.evaluate import evaluate
from fledged.exporting.export import export
from fledged.preparing.prepare import prepare
from fledged.products import Bundle, Dataset, Prediction, Run, Snapshot
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.aws import between, buckets, upload
from tests.tiny import TINY

_WORK = "s3://work/birds"
_LAKE = "s3://lake/birds"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, clean_lake: Path) -> Iterator[Any]:
    with buckets(tmp_path_factory.mktemp("cache"), "lake", "work") as client:
        upload(client, clean_lake, "lake", "birds")
        client.put_object(Bucket="lake", Key="birds/notes.txt", Body=b"not a photo")
        yield client


@pytest.fixture(scope="module")
def remote_run(client: Any, run: Run) -> Run:
    """`run`, of the same photos with the same settings, where all is in the bucket."""
    scan(_LAKE, work=_WORK, report=silent)
    review(work=_WORK, report=silent, train=TINY)
    dataset = prepare(work=_WORK, shorter_side_px=64, report=silent)
    return train(dataset, work=_WORK, report=silent, input={"size_px": 64}, views=2, epochs=6, **TINY)


@pytest.fixture(scope="module")
def remote_bundle(remote_run: Run) -> Bundle:
    evaluate(remote_run, work=_WORK, report=silent)
    return export(remote_run, work=_WORK, report=silent)


def test_a_snapshot_of_a_bucket_is_that_of_the_folder(remote_run: Run, work: Path) -> None:
    there, here = Workspace(_WORK).load(Snapshot), Workspace(work).load(Snapshot)
    assert there.lake == _LAKE
    assert there.photos().drop("mtime_ns").equals(here.photos().drop("mtime_ns"))
    assert there.skipped().rows() == [("notes.txt", "not a photo (.txt)")]


def test_splits_and_training_are_those_of_the_folder(remote_run: Run, dataset: Dataset, run: Run) -> None:
    there = Workspace(_WORK).load(Dataset)
    assert there.members().equals(dataset.members())
    np.testing.assert_allclose(remote_run.history()["val_loss"], run.history()["val_loss"], atol=1e-5)


def test_another_machine_answers_as_the_first_from_the_bucket_alone(
    remote_bundle: Bundle, clean_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = fledged.load(remote_bundle)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    there = fledged.load(f"{_WORK}/bundles/{remote_bundle.id}")
    assert there.bundle.id == fledged.load(work=_WORK).bundle.id == remote_bundle.id
    photos = sorted(clean_lake.rglob("*.jpg"))[:4]
    names = [f"{_LAKE}/{photo.relative_to(clean_lake).as_posix()}" for photo in photos]
    for photo, (name, answer) in zip(photos, there.predict_many([*names]), strict=True):
        assert isinstance(answer, Prediction)
        expected = here.predict(photo)
        assert str(name).startswith(_LAKE)
        np.testing.assert_allclose(
            [each.score for each in answer.top_k], [each.score for each in expected.top_k], atol=1e-5
        )
        assert there.predict(str(name)).label == expected.label
    done = fledged.verify(f"{_WORK}/bundles/{remote_bundle.id}", _LAKE, work=tmp_path, report=silent)
    assert done.is_same
    assert done.n_photos == len(list(clean_lake.rglob("*.jpg")))
    judged = evaluate(f"{_WORK}/bundles/{remote_bundle.id}", _LAKE, work=_WORK, report=silent)
    assert judged.source == "folder birds"


def test_nothing_is_read_again_that_has_not_changed(client: Any, clean_lake: Path, tmp_path: Path) -> None:
    upload(client, clean_lake, "lake", "twice")
    listed = client.list_objects_v2(Bucket="lake", Prefix="twice/")["Contents"]
    later_ns = max(int(each["LastModified"].timestamp() * 1e9) for each in listed) + 10**11
    with pytest.MonkeyPatch.context() as patch:  # an object that has just been written is read once more
        patch.setattr("fledged.scanning.scan.time.time_ns", lambda: later_ns)
        first = scan("s3://lake/twice", work=tmp_path, report=silent)
    changed = first.photos()["path"][0]
    client.put_object(Bucket="lake", Key=f"twice/{changed}", Body=b"not a photo any more")
    with between() as told:
        second = scan("s3://lake/twice", work=tmp_path, report=silent)
        read = {path for method, path in told.seen if method == "GET" and path.startswith("/lake/twice/")}
    shown = {f"/lake/twice/{path}" for path in first.photos()["path"]}
    assert f"/lake/twice/{changed}" in read
    assert second.changes_by_kind == {"changed": 1}
    assert read <= shown


def test_what_changes_between_listing_and_reading_is_a_row_with_a_reason(
    client: Any, clean_lake: Path, tmp_path: Path
) -> None:
    upload(client, clean_lake, "lake", "moving")
    photos = sorted(path.relative_to(clean_lake).as_posix() for path in clean_lake.rglob("*.jpg"))[:3]
    gone, grown, denied = photos
    is_done, at_once = False, threading.Lock()
    with between() as told:

        def meanwhile(method: str, path: str) -> int | None:
            nonlocal is_done
            with at_once:
                if method == "HEAD" and not is_done:  # the listing is over
                    is_done = True
                    client.delete_object(Bucket="lake", Key=f"moving/{gone}")
                    client.put_object(Bucket="lake", Key=f"moving/{grown}", Body=b"x" * 99)
            return 403 if path.endswith(f"moving/{denied}") else None

        told.spoil = meanwhile
        errors = scan("s3://lake/moving", work=tmp_path, report=silent, workers=1).photos()
    found = dict(errors.filter(pl.col("error").is_not_null()).select("path", "error").rows())
    assert found == {
        gone: "vanished while it was scanned",
        grown: "changed while it was scanned",
        denied: "cannot be read: no permission",
    }
    # What may be readable soon is not remembered as unreadable.
    again = scan("s3://lake/moving", work=tmp_path, report=silent).photos()
    assert dict(again.filter(pl.col("error").is_not_null()).select("path", "error").rows()).keys() == {grown}


def test_a_lake_that_may_be_listed_but_not_read_is_one_error(client: Any, tmp_path: Path) -> None:
    client.put_object(Bucket="lake", Key="denied/owl/1.jpg", Body=b"12345")
    with between() as told:
        told.spoil = lambda method, path: 403 if method == "HEAD" else None
        with pytest.raises(LakeError, match="None of these photos can be read: no permission"):
            scan("s3://lake/denied", work=tmp_path, report=silent, workers=1)


def test_collecting_into_a_bucket_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("https://example.org/1.jpg\n")
    with pytest.raises(LakeError, match=r"folders of this machine only.*aws s3 sync"):
        fledged.collect(tmp_path / "list.txt", "s3://lake/birds")
