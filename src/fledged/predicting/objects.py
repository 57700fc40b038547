"""A bundle from an S3 bucket, checked before it is unpacked, and kept for the next start in the same place."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from fledged.errors import MissingExtra, ProductError
from fledged.product_files import open_product
from fledged.products import Bundle

# Named by its content: `s3://BUCKET/any/folders/SHA256.zip`.
_PLACE = re.compile(r"s3://(?P<bucket>[a-z0-9.-]{3,63})/(?P<key>(?:[^/]+/)*(?P<sha256>[0-9a-f]{64})\.zip)")
_MAX_BYTES = 400 * 2**20  # Lambda's /tmp has 512 MB
_REMEDY = "Send it again with: fledged deploy --function NAME"


def opened(url: str, cache: Path) -> Bundle:
    """The bundle of `url`. Raises ProductError as `fetched` does.

    What is no longer whole within `cache`, since the power failed or a bit of it flipped, is fetched again.
    """
    folder = fetched(url, cache)
    try:
        return open_product(Bundle, folder)
    except ProductError:
        shutil.rmtree(folder)
        return open_product(Bundle, fetched(url, cache))


def fetched(url: str, cache: Path) -> Path:
    """A folder with the bundle of `url`, within `cache`; nothing is fetched where it is there already.

    Raises ProductError where S3 refuses, or where the bytes are not those that the name promises.
    """
    place = _PLACE.fullmatch(url)
    if place is None:
        raise ProductError("This is no address of a bundle", where=url, remedy="It is s3://BUCKET/…/SHA256.zip.")
    folder = cache / place["sha256"]
    if not folder.exists():
        data = _object(place["bucket"], place["key"], url)
        if hashlib.sha256(data).hexdigest() != place["sha256"]:
            raise ProductError("The bucket holds other bytes than its name promises", where=url, remedy=_REMEDY)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as draft:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                # Members' names are cleaned by the library: none gets out of the folder.
                archive.extractall(Path(draft) / "bundle")
            (Path(draft) / "bundle").rename(folder)
    return folder


def _object(bucket: str, key: str, url: str) -> bytes:
    try:
        import boto3  # Lambda has it
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise MissingExtra("aws", "boto3") from error
    # All within the 10 s that Lambda gives to starting.
    patience = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2})
    try:
        stored = boto3.client("s3", config=patience).get_object(Bucket=bucket, Key=key)
        if stored["ContentLength"] > _MAX_BYTES:
            raise ProductError(f"This object has more than {_MAX_BYTES // 2**20} MB", where=url, remedy=_REMEDY)
        data: bytes = stored["Body"].read()
    except (BotoCoreError, ClientError) as error:
        raise ProductError(f"The bundle cannot be fetched: {error}", where=url, remedy=_REMEDY) from error
    return data
