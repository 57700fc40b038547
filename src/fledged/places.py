"""Where photos lie: a folder of this machine, or a bucket behind an address such as s3://bucket/photos.

A place is a string: an absolute path, or an address without a slash at its end. So it fits into records, and goes to
worker processes as it is; each process opens a bucket once. S3, Google Cloud Storage and Azure are read by Arrow's own
clients, every other scheme by fsspec.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from fledged import naming_extras, regular
from fledged.errors import FledgedError, LakeError, MissingExtra

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://?(?P<rest>[^/].*|/.*|)", re.DOTALL)
_WEB = ("http", "https")
_AZURE = ("abfs", "abfss")
_ATTEMPTS = 5  # of a request that fails or is told to slow down; Arrow waits longer each time, 8 s in all
_CONNECT_TIMEOUT_S, _ANSWER_TIMEOUT_S = 5.0, 30.0
# Words of Arrow's errors -> what a person needs to know; the first that fits.
_REASONS = (
    (r"NO_SUCH_BUCKET|Bucket '.*' not found|bucket does not exist|ContainerNotFound", "There is no such bucket"),
    (r"INVALID_ACCESS_KEY|InvalidAccessKeyId|SIGNATURE_DOES_NOT_MATCH|EXPIRED|Expired|INVALID_CLIENT", "The credentials are not valid"),  # noqa: E501
    (r"ACCESS_DENIED|HTTP status 403|Forbidden|AuthorizationFailure|PermissionDenied", "You may not read there"),
    (r"MISSING_AUTHENTICATION|DefaultAzureCredential|o credentials|default credentials", "There are no credentials"),
    (r"HTTP status 301|PermanentRedirect", "The bucket is in another region: set AWS_REGION"),
)  # fmt: skip
REMEDY = "Check the address, the region and the credentials; docs/remote.md says where they are looked for."


class TooLarge(OSError):
    """A file has more bytes than may be read; nothing of it was fetched."""

    def __init__(self, n_bytes: int) -> None:
        super().__init__(errno.EFBIG, os.strerror(errno.EFBIG))
        self.n_bytes = n_bytes


class Changed(OSError):
    """What lies there has not the size that was listed."""


def is_remote(place: str) -> bool:
    """Whether a resolved place is an address."""
    return "://" in place


def resolved(place: str | os.PathLike[str]) -> str:
    """The absolute path, links followed; or the address, spelled in one way. Nothing is asked of any network.

    Raises LakeError for an address that can be no place of photos.
    """
    text = os.fspath(place)
    address = _ADDRESS.fullmatch(text)
    # A Path has lost a slash of its address. Windows has drives of one letter, and no scheme is that short.
    if address is None or ("://" not in text and Path(text).exists()):
        return str(Path(text).expanduser().resolve())
    scheme, rest = address["scheme"].lower(), address["rest"]
    if scheme in ("file", "local"):
        return str(Path("/" + rest.lstrip("/")).resolve())
    scheme = {"s3a": "s3", "gcs": "gs"}.get(scheme, scheme)
    rest = re.sub(r"/+", "/", rest).strip("/")
    host = rest.partition("/")[0]
    if scheme in _WEB:
        raise LakeError(
            "Pages of the web are no folder of photos",
            where=text,
            remedy="Gather the photos first: fledged collect LIST PHOTOS/",
        )
    if "@" in host and scheme not in _AZURE:
        raise LakeError(
            "Credentials do not belong into an address, which is written into records",
            where=f"{scheme}://…@{host.rpartition('@')[2]}",
            remedy="Give them in the environment; docs/remote.md says how.",
        )
    if not host and scheme != "memory":
        raise LakeError("This address names no bucket", where=text, remedy="Write s3://BUCKET/FOLDER.")
    return f"{scheme}://{rest}"


def looks_remote(place: str | os.PathLike[str]) -> bool:
    """Whether what a person wrote is an address, and not a path of this machine."""
    text = os.fspath(place)
    return _ADDRESS.fullmatch(text) is not None and ("://" in text or not Path(text).exists())


def join(place: str, path: str) -> str:
    """The place of something in a folder."""
    return f"{place}/{path}"


def name_of(place: str) -> str:
    """The last part, to show it."""
    return place.rstrip("/").rpartition("/")[2] or place


def n_workers(place: str, wanted: int) -> int:
    """As many processes as are wanted; one where only this very process can see what lies there."""
    return 1 if place.startswith("memory://") else wanted


def head(place: str, n_bytes: int) -> bytes:
    """The first bytes of a file. Raises OSError, and LakeError as `open_remote` does."""
    if not is_remote(place):
        with regular.opened(place) as file:
            return file.read(n_bytes)
    with open_remote(place) as file:
        return file.read(n_bytes)


@contextlib.contextmanager
def opened(place: str) -> Iterator[Iterable[bytes]]:
    """The lines of a file. Raises OSError, and LakeError as `open_remote` does."""
    if not is_remote(place):
        with regular.opened(place) as file:
            yield file
        return
    with open_remote(place) as raw, io.BufferedReader(raw, 2**20) as lines:  # type: ignore[type-var]
        yield lines


def open_remote(place: str) -> BinaryIO:
    """A file of a bucket, opened: Arrow's, with `size()`.

    Raises FileNotFoundError and PermissionError; and LakeError where the bucket does not answer, after attempts with
    growing pauses: that is no fault of the file.
    """
    files, path = filesystem(place)
    with plain_errors(place):
        opened: BinaryIO = files.open_input_file(path)
        return opened


def download(place: str, n_bytes: int, max_bytes: int | None) -> bytes:
    """All of a remote file, if it has the size that was listed (-1: any), and no more than `max_bytes`."""
    if max_bytes is not None and n_bytes > max_bytes:
        raise TooLarge(n_bytes)  # without a request
    with open_remote(place) as file, plain_errors(place):
        size: int = file.size()  # type: ignore[attr-defined]
        if max_bytes is not None and size > max_bytes:
            raise TooLarge(size)
        if n_bytes not in (-1, size):
            raise Changed(errno.ESTALE, "it has another size than was listed", place)
        data = bytes(file.read())
    if len(data) != size:
        raise Changed(errno.ESTALE, "it changed while it was read", place)
    return data


def filesystem(place: str) -> tuple[Any, str]:
    """Arrow's filesystem for an address, and the path in it. Raises LakeError and MissingExtra."""
    scheme, _, rest = place.partition("://")
    host, _, path = rest.partition("/")
    if scheme == "s3":
        return _s3(host, *_s3_settings()), rest
    files, strip = _other(scheme, host)
    return files, strip(place, path)


@contextlib.contextmanager
def plain_errors(place: str) -> Iterator[None]:
    """What a client of a bucket raises in here becomes FileNotFoundError, PermissionError or LakeError."""
    try:
        yield
    except (FledgedError, TooLarge, Changed):
        raise
    except Exception as error:  # clients of all makes
        raise translated(error, place) from error


def translated(error: Exception, place: str) -> Exception:
    """The same error in the words of this program."""
    words = " ".join(str(error).split())
    reason = next((said for pattern, said in _REASONS if re.search(pattern, words)), None)
    if isinstance(error, FileNotFoundError) and reason is None:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place)
    if reason == "You may not read there" or (isinstance(error, PermissionError) and reason is None):
        return PermissionError(errno.EACCES, "no permission", place)
    if re.search("INVALID_OBJECT_STATE|InvalidObjectState", words):
        return OSError(errno.EIO, "it is archived", place)
    if reason is None:
        last = re.sub(r"\(Request ID[^)]*\)", "", words).rpartition("operation: ")[2]
        return LakeError(f"The bucket does not answer: {last[:200].strip(' .')}", where=place, remedy=REMEDY)
    return LakeError(reason, where=place, remedy=REMEDY)


def _s3_settings() -> tuple[str | None, ...]:
    """What of the environment says how S3 is reached: Arrow's client does not read the address as boto3 does."""
    of = os.environ.get
    return (
        of("AWS_ENDPOINT_URL_S3") or of("AWS_ENDPOINT_URL"),
        of("AWS_REGION") or of("AWS_DEFAULT_REGION"),
        of("AWS_ACCESS_KEY_ID"),  # another user is another client
    )


@functools.lru_cache(maxsize=16)
def _s3(bucket: str, endpoint: str | None, region: str | None, user: str | None) -> Any:
    with naming_extras():
        from pyarrow import fs
    with plain_errors(f"s3://{bucket}"):
        if region is None and endpoint is None:
            region = fs.resolve_s3_region(bucket)
        return fs.S3FileSystem(
            endpoint_override=endpoint,
            region=region,
            connect_timeout=_CONNECT_TIMEOUT_S,
            request_timeout=_ANSWER_TIMEOUT_S,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        )


@functools.lru_cache(maxsize=16)
def _other(scheme: str, host: str) -> tuple[Any, Callable[[str, str], str]]:
    with naming_extras():
        from pyarrow import fs
    where = f"{scheme}://{host}"
    with plain_errors(where):
        if scheme == "gs":
            files = fs.GcsFileSystem(retry_time_limit=timedelta(seconds=60))
            return files, lambda _, path: f"{host}/{path}"
        if scheme in _AZURE:
            container, _, account = host.partition("@")
            files = fs.AzureFileSystem(account_name=account.partition(".")[0])
            return files, lambda _, path: f"{container}/{path}"
    try:
        import fsspec  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise MissingExtra("train", "fsspec") from error
    try:
        found = fsspec.filesystem(scheme)
    except ValueError as error:
        known = "s3, gs, abfs, and the schemes that fsspec knows"
        raise LakeError(f"There is no scheme `{scheme}`", where=where, remedy=f"Known: {known}.") from error
    except ImportError as error:
        raise LakeError(f"This scheme needs another package: {error}", where=where, remedy="Install it.") from error
    except Exception as error:  # clients of all makes
        raise translated(error, where) from error
    wrapped = fs.PyFileSystem(fs.FSSpecHandler(found))
    return wrapped, lambda place, _: str(found._strip_protocol(place))
