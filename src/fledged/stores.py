"""Objects of Google Cloud Storage and of Azure, read and written under conditions, as `buckets` does it in S3.

Google tells versions of an object by generations, Azure by ETags; obstore sends either with a write
(https://cloud.google.com/storage/docs/request-preconditions,
https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from fledged import naming_extras
from fledged.areas import Conflict, Held, Seen
from fledged.errors import FledgedError, WorkspaceError
from fledged.places import REMEDY
from fledged.writing import bytes_of_file, write_chunks

SCHEMES = ("gs", "abfs", "abfss")
_MOST_BYTES = 2**30  # of a file: a write under a condition is one request, and its content is in memory
_CHUNK = 2**20
_CLIENT: Any = {"connect_timeout": "5s", "read_timeout": "60s", "timeout": "1h"}
_RETRIES: Any = {"max_retries": 4, "retry_timeout": timedelta(minutes=1)}
# Words of the services -> what to tell; the first that fits.
_REASONS = (
    ("token request.*(metadata|169.254)", "There are no credentials"),
    ("invalid_grant|AuthenticationFailed|InvalidAuthenticationInfo|401 Unauthorized", "The credentials are not valid"),
    ("NoSuchBucket|ContainerNotFound|bucket does not exist", "There is no such bucket"),
    ("AccessDenied|AuthorizationFailure|AuthorizationPermissionMismatch|403 Forbidden", "You may not do this"),
    ("Account must be specified", "The address names no account, nor does AZURE_STORAGE_ACCOUNT_NAME"),
)


class Store:
    """An Area behind gs://BUCKET/PREFIX or abfss://CONTAINER@ACCOUNT…/PREFIX. `error` is raised where it refuses."""

    def __init__(self, url: str, error: type[FledgedError] = WorkspaceError) -> None:
        self.url = url
        scheme, _, rest = url.partition("://")
        host, _, prefix = rest.partition("/")
        self.service = f"{scheme}://{host}"
        self._tag, self.unlikely = ("version", "1") if scheme == "gs" else ("e_tag", '"none"')
        self._prefix = f"{prefix}/" if prefix else ""
        self._error = error

    def get(self, name: str) -> Held | None:
        with self._telling(name) as store:
            answer = self._answer(store, name)
            return answer and Held(bytes(answer.bytes()), answer.meta[self._tag])

    def download(self, name: str, path: Path) -> str | None:
        with self._telling(name) as store:
            answer = self._answer(store, name)
            if answer is None:
                return None
            return write_chunks(path, answer.stream(min_chunk_size=_CHUNK))

    def seen(self, name: str) -> Seen | None:
        with self._telling(name) as store:
            answer = self._answer(store, name, head=True)
            return answer and Seen(answer.meta[self._tag], answer.attributes.get("sha256", ""))

    def put(self, name: str, content: bytes | Path, sha256: str, before: str | None) -> str:
        if isinstance(content, Path):
            if content.stat().st_size > _MOST_BYTES:
                raise self._error("This file has more than 1 GB", where=content, remedy="Take a working folder in S3.")
            data = bytes_of_file(content)
            if hashlib.sha256(data).hexdigest() != sha256:
                raise self._error("This file changed meanwhile", where=content, remedy="Run the same command again.")
        else:
            data = content
        mode: Any = "create" if before is None else {self._tag: before}
        with self._telling(name) as store:
            import obstore

            answer: Any = obstore.put(store, self._prefix + name, data, attributes={"sha256": sha256}, mode=mode)
            return str(answer[self._tag])

    def names(self, folder: str) -> list[str]:
        base = f"{self._prefix}{folder}"
        with self._telling(folder) as store:
            import obstore

            listed: Any = obstore.list_with_delimiter(store, base)
        found = [f"{path}/" for path in listed["common_prefixes"]] + [each["path"] for each in listed["objects"]]
        names = (path.removeprefix(f"{base}/") for path in found)
        return sorted(name for name in names if name and not name.startswith("."))

    def _answer(self, store: Any, name: str, *, head: bool = False) -> Any:
        import obstore

        try:
            return obstore.get(store, self._prefix + name, options={"head": head})
        except FileNotFoundError as error:
            if _reason(str(error)):
                raise
            return None

    @contextlib.contextmanager
    def _telling(self, name: str) -> Iterator[Any]:
        with naming_extras():
            from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
        try:
            yield _opened(self.service)
        except (AlreadyExistsError, PreconditionError) as error:
            raise Conflict(name) from error
        except (BaseError, FileNotFoundError, ValueError) as error:
            words = " ".join(str(error).partition("Debug source")[0].split())
            what = _reason(words) or f"The bucket does not answer as it should: {words[:200]}"
            raise self._error(what, where=f"{self.url}/{name}", remedy=REMEDY) from error


def _reason(words: str) -> str | None:
    return next((said for pattern, said in _REASONS if re.search(pattern, words)), None)


@functools.lru_cache(maxsize=4)
def _opened(service: str) -> Any:
    with naming_extras():
        from obstore.store import from_url
    return from_url(service, client_options=_CLIENT, retry_config=_RETRIES)
