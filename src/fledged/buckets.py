"""Objects of an S3 bucket, read and written under conditions.

`If-None-Match: *` writes only what is not there yet, and `If-Match` only over what was read before
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html). Each object carries the sha256 of its
content as metadata, so that a HEAD tells whether it is what it should be.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fledged import naming_extras
from fledged.areas import Conflict, Held, Seen
from fledged.errors import FledgedError, WorkspaceError
from fledged.writing import write_chunks

_MOST_BYTES = 5 * 2**30  # that one request may write
_CHUNK = 2**20
# The service's own names of what is wrong -> what to tell.
_REASONS = {
    "NoSuchBucket": "There is no such bucket",
    "AccessDenied": "You may not do this",
    "403": "You may not read this",
    "Forbidden": "You may not read this",
    "InvalidAccessKeyId": "The credentials are not valid",
    "SignatureDoesNotMatch": "The credentials are not valid",
    "ExpiredToken": "The credentials have expired",
    "InvalidToken": "The credentials are not valid",
    "PermanentRedirect": "The bucket is in another region: set AWS_REGION",
    "NotImplemented": "This service knows no conditional writes, which a shared working folder needs",
}
_REMEDY = "Check the address, the region and the credentials; docs/remote.md says where they are looked for."


class Bucket:
    """An Area behind s3://BUCKET/PREFIX. `error` is what is raised where S3 refuses."""

    unlikely = '"none"'

    def __init__(self, url: str, error: type[FledgedError] = WorkspaceError) -> None:
        self.url = url
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._error = error

    @property
    def service(self) -> str:
        with self._telling("") as client:
            return str(client.meta.endpoint_url)

    def get(self, name: str) -> Held | None:
        with self._telling(name) as client:
            try:
                answer = client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            except client.exceptions.NoSuchKey:
                return None
            return Held(answer["Body"].read(), answer["ETag"])

    def download(self, name: str, path: Path) -> str | None:
        with self._telling(name) as client:
            try:
                answer = client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            except client.exceptions.NoSuchKey:
                return None
            return write_chunks(path, answer["Body"].iter_chunks(_CHUNK))

    def seen(self, name: str) -> Seen | None:
        with self._telling(name) as client:
            try:
                answer = client.head_object(Bucket=self._bucket, Key=self._prefix + name)
            except client.exceptions.ClientError as error:
                if _code(error) in ("404", "NoSuchKey", "NotFound"):
                    return None
                raise
            return Seen(answer["ETag"], answer.get("Metadata", {}).get("sha256", ""))

    def put(self, name: str, content: bytes | Path, sha256: str, before: str | None) -> str:
        if isinstance(content, Path) and content.stat().st_size > _MOST_BYTES:
            raise self._error("This file has more than 5 GB", where=content, remedy="Take a working folder on a disk.")
        condition = {"IfNoneMatch": "*"} if before is None else {"IfMatch": before}
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        with self._telling(name) as client, contextlib.ExitStack() as stack:
            body = stack.enter_context(content.open("rb")) if isinstance(content, Path) else content
            try:
                answer = client.put_object(
                    Bucket=self._bucket,
                    Key=self._prefix + name,
                    Body=body,
                    Metadata={"sha256": sha256},
                    ChecksumSHA256=checksum,  # the service refuses other bytes
                    **condition,
                )
            except client.exceptions.ClientError as error:
                # An object that was removed between the reading and the writing answers 404 to If-Match.
                if _code(error) in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409", "NoSuchKey"):
                    raise Conflict(name) from error
                raise
            return str(answer["ETag"])

    def names(self, folder: str) -> list[str]:
        base = f"{self._prefix}{folder}/"
        found: list[str] = []
        with self._telling(folder) as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=base, Delimiter="/")
            for page in pages:
                found += [each["Prefix"] for each in page.get("CommonPrefixes", ())]
                found += [each["Key"] for each in page.get("Contents", ())]
        names = (name.removeprefix(base) for name in found)
        return sorted(name for name in names if name and not name.startswith("."))

    @contextlib.contextmanager
    def _telling(self, name: str) -> Iterator[Any]:
        with naming_extras():
            from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
        try:
            yield _client(*(os.environ.get(name) for name in _OF_THE_CLIENT))
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise self._error("There are no credentials", where=self.url, remedy=_REMEDY) from error
        except (BotoCoreError, ClientError) as error:
            words = " ".join(str(error).split())[:200]
            what = _REASONS.get(_code(error)) or f"The bucket does not answer as it should: {words}"
            raise self._error(what, where=f"{self.url}/{name}", remedy=_REMEDY) from error


def _code(error: Exception) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


_OF_THE_CLIENT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_PROFILE")


@functools.lru_cache(maxsize=4)
def _client(*environment: str | None) -> Any:
    with naming_extras():
        import boto3
        from botocore.config import Config
    patience = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5})
    # A session of its own: the shared one keeps credentials that were in the environment when it was first asked.
    return boto3.session.Session().client("s3", config=patience)
