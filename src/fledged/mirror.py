"""A working folder in a bucket, and the copy of it in which this machine works.

    s3://BUCKET/WORK/runs/<id>/…    the same layout as on a disk: `aws s3 sync` makes a working folder of it
    <cache>/<hash of the address>/  the copy: all products in use, and what is not shared (checkpoints, most of cache/)

Products are pulled whole when they are asked for, and pushed when they are saved: their files first, the record last
and under a condition. The id says what a product was made of, so of two machines that save the same one at a time, the
first record stands, and the other takes it over. Files that people or splits grow (decisions.jsonl, splits/) are merged
line by line, latest.json kind by kind, and they are written only over what was read. All of that rests on a service
that keeps conditions: before the first write it is tried whether this one does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from filelock import FileLock

from fledged import stores
from fledged.areas import Area, Conflict, Held, keeps_conditions
from fledged.buckets import Bucket
from fledged.config import resolve
from fledged.errors import FledgedError, ProductError, WorkspaceError
from fledged.settings.remote import RemoteConfig
from fledged.writing import bytes_of_file, disk_errors, sha256_of_file, write_bytes

_TRIES = 20
_LOOKS = 4  # at a product whose files are not those of its record: it may be being saved at that very moment
_PAUSE_S = 0.1  # after the first look, twice that after the second, and so on
_MARK = ".shared"  # in the copy of a product: the bucket has all of it
_TRIED = ".conditions"  # in the copy: the service that was found to keep conditions
_KEEP_S = 3600.0  # a product that was used so lately may be in use by another process
_LOCK_TIMEOUT_S = 60.0
_PLAIN = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")


class Mirror:
    """The copy of a working folder. `names` and `folder`s are relative to the working folder, with /."""

    def __init__(self, url: str, error: type[FledgedError] = WorkspaceError) -> None:
        self.url = url
        self._error = error
        self.area = _area(url, error)
        self.root = cache_folder() / hashlib.sha256(url.encode()).hexdigest()[:16]

    # Products

    def ids(self, folder: str) -> list[str]:
        """The products that may be there: their folders."""
        names = (name.removesuffix("/") for name in self.area.names(folder) if name.endswith("/"))
        return [name for name in names if _PLAIN.fullmatch(name)]

    def pull(self, folder: str, record: str, *, check: bool = False) -> bool:
        """Make the copy of a product what the bucket holds; False if it holds none.

        Files are verified as they come; with `check`, those that are here already too. Raises ProductError where they
        are not what the record says, after several looks.
        """
        name = f"{folder}/{record}"
        for look in range(_LOOKS):
            time.sleep(_PAUSE_S * look)
            held = self.area.get(name)
            if held is None:
                return False
            files = files_of(held.data, f"{self.url}/{name}")
            is_same = not check and _bytes_of(self.root / name) == held.data and (self.root / folder / _MARK).exists()
            if is_same or self._pull_files(folder, files):
                if _bytes_of(self.root / name) != held.data:
                    write_bytes(self.root / name, held.data)
                self._shared(folder)
                return True
        raise ProductError(
            "Files of this product are not what was written (sha256 differs), or are missing",
            where=f"{self.url}/{folder}",
            remedy="Restore them from a copy, or delete this folder of the bucket and make the product again.",
        )

    def _pull_files(self, folder: str, files: Mapping[str, str]) -> bool:
        """Make the files of the copy these; False, and the copy is as it was, where the bucket holds others."""
        with self._draft() as draft, disk_errors(self.root / folder):
            fetched: list[str] = []
            for file, sha256 in files.items():
                path = self.root / folder / file
                if path.is_file() and sha256_of_file(path) == sha256:
                    continue
                if self.area.download(f"{folder}/{file}", draft / file) != sha256:
                    return False
                fetched.append(file)
            for file in fetched:
                path = self.root / folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                (draft / file).replace(path)
        return True

    @contextlib.contextmanager
    def _draft(self) -> Iterator[Path]:
        """A folder for what is not whole yet, of one pull at a time; what a killed one left there is removed."""
        draft = self.root / ".pulled"
        with disk_errors(draft):
            self.root.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / ".pulled.lock")
            lock.acquire()
        try:
            shutil.rmtree(draft, ignore_errors=True)
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            lock.release()

    def push(self, folder: str, record: str, before: bytes | None) -> bool:
        """Put a product that was saved here into the bucket; False if another stands there, which is pulled then.

        `before` is the record that it replaces here. After each try the files are looked at again, since somebody else
        may have written to the same names in between: only one record can have been first, and who wrote it mends them.
        """
        name = f"{folder}/{record}"
        ours = bytes_of_file(self.root / name)
        files, digest = files_of(ours, name), hashlib.sha256(ours).hexdigest()
        for _ in range(_TRIES):
            held = self.area.get(name)
            if held is not None and held.data not in (ours, before):
                theirs = files_of(held.data, f"{self.url}/{name}")
                if self._is_whole(folder, theirs):
                    with contextlib.suppress(ProductError):  # somebody else came between: who did mends it, or we do
                        self.pull(folder, record)
                        return False
                # Our files have come between theirs, and they may be gone: ours make it whole again.
            is_new = held is None or held.data != ours
            try:
                for file, sha256 in files.items():
                    self._push_file(f"{folder}/{file}", self.root / folder / file, sha256)
                if is_new:
                    self._put(name, ours, digest, held.tag if held else None)
            except Conflict:
                continue
            # A record that was written in an earlier try may be somebody else's by now, who has gone.
            is_ours = is_new or self._is_whole(folder, {record: digest})
            if is_ours and self._is_whole(folder, files):
                self._shared(folder)
                return True
        raise self._busy(name)

    def _push_file(self, name: str, path: Path, sha256: str) -> None:
        seen = self.area.seen(name)
        if seen is None or seen.sha256 != sha256:
            self._put(name, path, sha256, seen.tag if seen else None)

    def _is_whole(self, folder: str, files: Mapping[str, str]) -> bool:
        looks = ((self.area.seen(f"{folder}/{file}"), sha256) for file, sha256 in files.items())
        return all(seen is not None and seen.sha256 == sha256 for seen, sha256 in looks)

    # Files that grow

    def latest(self, kind: str | None = None, product_id: str = "") -> dict[str, str]:
        """The newest product of each kind; with `kind`, this one becomes it."""

        def with_this(held: Held | None) -> bytes:
            known = _names_in(held.data if held else b"")
            return json.dumps(known | ({kind: product_id} if kind else {})).encode()

        if kind is None:
            held = self.area.get("latest.json")
            return _names_in(held.data if held else b"")
        return _names_in(self._rewrite("latest.json", with_this))

    def sync_lines(self, name: str) -> None:
        """Lines that were added here and there since they were last put together, in both places.

        A line that was taken out there stays out, as long as nobody has added it here since.
        """
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # The lock that who appends to the file takes as well: what is added meanwhile must not be written over.
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_TIMEOUT_S):
            self._sync_lines(name, path)

    def _sync_lines(self, name: str, path: Path) -> None:
        local = _bytes_of(path) or b""
        mark = path.with_name(f".{path.name}{_MARK}")
        sha256, _, n_bytes = (_bytes_of(mark) or b"").decode().partition(" ")
        base = local[: int(n_bytes or 0)]
        added = local[len(base) :] if hashlib.sha256(base).hexdigest() == sha256 else local

        def merged(held: Held | None) -> bytes:
            there = held.data if held else b""
            if there and not there.endswith(b"\n"):
                there += b"\n"
            known = set(there.splitlines())
            return there + b"".join(line + b"\n" for line in added.splitlines() if line and line not in known)

        data = self._rewrite(name, merged)
        if data != local:
            write_bytes(path, data)
        write_bytes(mark, f"{hashlib.sha256(data).hexdigest()} {len(data)}".encode())

    def sync_folder(self, folder: str) -> None:
        """The same of every file in a folder, here and there."""
        here = [path.name for path in (self.root / folder).glob("*") if path.is_file() and path.name[0] != "."]
        there = [name for name in self.area.names(folder) if not name.endswith("/")]
        for name in sorted({*here, *there}):
            if _PLAIN.fullmatch(name):
                self.sync_lines(f"{folder}/{name}")

    def _rewrite(self, name: str, change: Callable[[Held | None], bytes]) -> bytes:
        """What a file holds after `change`, whoever else changes it at the same time."""
        for _ in range(_TRIES):
            held = self.area.get(name)
            data = change(held)
            if data == (held.data if held else b""):
                return data
            try:
                self._put(name, data, hashlib.sha256(data).hexdigest(), held.tag if held else None)
            except Conflict:
                continue
            return data
        raise self._busy(name)

    def _put(self, name: str, content: bytes | Path, sha256: str, before: str | None) -> None:
        """`put` of the bucket, once it is known that it keeps conditions."""
        mark, service = self.root / _TRIED, self.area.service.encode()
        if _bytes_of(mark) != service:
            if not keeps_conditions(self.area):
                raise self._error(
                    "This service does not keep conditions of writing, so machines would lose each other's work",
                    where=self.url,
                    remedy="Take one that does (docs/remote.md), or a folder of this machine.",
                )
            write_bytes(mark, service)
        self.area.put(name, content, sha256, before)

    # Files beside products

    def push_folder(self, folder: str) -> None:
        """Put every file of a folder that is no product into the bucket, over what is there."""
        for path in sorted((self.root / folder).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                self.push_file(path.relative_to(self.root).as_posix())

    def push_file(self, name: str) -> None:
        """Put one file there, over what is there; the last one wins."""
        for _ in range(_TRIES):
            try:
                return self._push_file(name, self.root / name, sha256_of_file(self.root / name))
            except Conflict:
                continue
        raise self._busy(name)

    def pull_file(self, name: str) -> None:
        """Get one file, if it is there and another than here."""
        seen, path = self.area.seen(name), self.root / name
        if seen is not None and not (path.is_file() and sha256_of_file(path) == seen.sha256):
            self.area.download(name, path)

    # The copy

    def _shared(self, folder: str) -> None:
        """The bucket has all of this product, which is used just now; others may have to make room for it."""
        (self.root / folder / _MARK).touch()
        os.utime(self.root / folder)
        evict()

    def _busy(self, name: str) -> FledgedError:
        return WorkspaceError(
            f"Others have written this at the same time, {_TRIES} times in a row",
            where=f"{self.url}/{name}",
            remedy="Run the same command again.",
        )


def _area(url: str, error: type[FledgedError]) -> Area:
    scheme = url.partition("://")[0]
    if scheme == "s3":
        return Bucket(url, error)
    if scheme in stores.SCHEMES:
        return stores.Store(url, error)
    raise error(
        f"{scheme}:// cannot hold this: nothing there is written only over what was read",
        where=url,
        remedy="Take s3://, gs:// or abfss:// (docs/remote.md), or a folder of this machine.",
    )


def cache_folder() -> Path:
    """Where copies of what lies in buckets are kept on this machine."""
    chosen = resolve(RemoteConfig, {}).cache
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(chosen).expanduser().absolute() if chosen else Path(base) / "fledged"


def evict() -> list[Path]:
    """Remove the products that were not used for longest until the cache is within its limit; what was removed.

    Only products of which the bucket is known to have all: those that were pulled or pushed. Those used within the last
    hour stay, whatever the limit.
    """
    base = cache_folder()
    found = []
    for mark in [*base.glob(f"*/*/{_MARK}"), *base.glob(f"*/*/*/{_MARK}")]:
        folder = mark.parent
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        found.append((folder.stat().st_mtime, size, folder))
    total, removed = sum(size for _, size, _ in found), []
    for used_s, size, folder in sorted(found):
        if total <= resolve(RemoteConfig, {}).cache_gb * 1e9 or used_s > time.time() - _KEEP_S:
            break
        (folder / _MARK).unlink()  # first: of what is half removed, the bucket is asked for all
        shutil.rmtree(folder, ignore_errors=True)
        total -= size
        removed.append(folder)
    return removed


def _names_in(data: bytes) -> dict[str, str]:
    try:
        known = json.loads(data)
    except ValueError:
        return {}
    if not isinstance(known, dict):
        return {}
    return {str(kind): name for kind, name in known.items() if isinstance(name, str)}


def files_of(record: bytes, where: str) -> dict[str, str]:
    """The files that a record names, with their sha256. Raises ProductError where it names what it must not."""
    try:
        files = json.loads(record)["files"]
        named = {str(name): str(sha256) for name, sha256 in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProductError("This record is damaged", where=where, remedy="Make the product again.") from error
    for name in named:
        if PurePosixPath(name).is_absolute() or {"..", "\0"} & {*PurePosixPath(name).parts, *name} or not name:
            raise ProductError("This record names a file outside of its folder", where=where, remedy="Delete it.")
    return named


def _bytes_of(path: Path) -> bytes | None:
    try:
        return bytes_of_file(path)
    except FileNotFoundError:
        return None
