"""A bundle from a bucket: through a real API of S3, as moto answers it on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from fledged.errors import ProductError
from fledged.predicting.objects import fetched, opened
from fledged.predicting.predictor import load
from fledged.products import Bundle
from tests.aws import REGION, local_aws
from tests.events import event
from tests.serving.photos import jpeg

BUCKET = "bundles-of-owls"


@pytest.fixture(scope="module")
def objects() -> Iterator[Any]:
    with local_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client


@pytest.fixture
def stored(objects: Any, bundle: Bundle, tmp_path: Path) -> str:
    """Where a bundle lies, packed as `fledged deploy` packs it."""
    packed = tmp_path / "bundle.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("bundle.json", *bundle.files):
            archive.write(bundle.folder / name, name)
    return put(objects, packed.read_bytes())


def put(objects: Any, data: bytes, named: bytes | None = None) -> str:
    key = f"fledged/bundles/{hashlib.sha256(data if named is None else named).hexdigest()}.zip"
    objects.put_object(Bucket=BUCKET, Key=key, Body=data)
    return f"s3://{BUCKET}/{key}"


def test_it_is_fetched_once_and_answers(objects: Any, stored: str, bundle: Bundle, tmp_path: Path) -> None:
    folder = fetched(stored, tmp_path / "cache")
    assert load(folder).predict(jpeg("red")).label == load(bundle).predict(jpeg("red")).label
    objects.delete_object(Bucket=BUCKET, Key=stored.partition(f"{BUCKET}/")[2])
    assert fetched(stored, tmp_path / "cache") == folder
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


def test_what_is_spoilt_where_it_is_kept_is_fetched_again(objects: Any, stored: str, tmp_path: Path) -> None:
    first = opened(stored, tmp_path / "cache")
    for name in ("bundle.json", *first.files):
        (first.folder / name).write_bytes(b"")  # as a power cut may leave it
        assert opened(stored, tmp_path / "cache") == first


def test_other_bytes_than_promised_are_refused(objects: Any, tmp_path: Path) -> None:
    url = put(objects, b"other bytes", named=b"the bytes that were sent")
    with pytest.raises(ProductError, match="other bytes than its name promises"):
        fetched(url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_one_line(objects: Any, tmp_path: Path) -> None:
    with pytest.raises(ProductError, match=r"The bundle cannot be fetched: .*NoSuchKey.*fledged deploy"):
        fetched(f"s3://{BUCKET}/{'0' * 64}.zip", tmp_path)
    for url in ("s3://", f"s3://{BUCKET}/model.zip", f"s3://{BUCKET}/{'0' * 63}.zip", f"s3://A_b/{'0' * 64}.zip"):
        with pytest.raises(ProductError, match="This is no address of a bundle"):
            fetched(url, tmp_path)


def test_no_member_gets_out_of_the_folder(objects: Any, tmp_path: Path) -> None:
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../outside", b"x")
        archive.writestr("/absolute", b"x")
    folder = fetched(put(objects, packed.read_bytes()), tmp_path / "a" / "b")
    assert {path.name for path in folder.iterdir()} == {"outside", "absolute"}
    assert not (tmp_path / "outside").exists()
    with pytest.raises(ProductError, match="There is no bundle here"):
        load(folder)


def test_the_function_has_its_bundle_from_there(objects: Any, stored: str, tmp_path: Path) -> None:
    program = (
        "import json, sys\n"
        "from fledged.serving.function import handler\n"
        "print(handler(json.load(sys.stdin), None)['body'])\n"
    )
    asked = json.dumps(event("url", "POST", "/classify", jpeg("green"), {"content-type": "image/jpeg"}))
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=asked,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"FLEDGED_BUNDLE": stored, "TMPDIR": str(tmp_path)},
    )
    assert json.loads(done.stdout)["label"] == "green"
    assert len(list((tmp_path / "fledged").glob("*/bundle.json"))) == 1
