"""Where each product lives on disk, how it is saved, and how it is opened again.

    fledged/                    the working folder, `--work DIR`
        snapshots/<id>/         snapshot.json, written last, and the files that it names
        reviews/<id>/ …
        decisions.jsonl         people's decisions, only ever appended to
        splits/                 which split each photo was put into, so that it stays there
        augmented/<id>/         what `fledged train --show-augmented` makes of that dataset's photos
        tunings/<id>/           what `fledged tune` tried, and the best settings as fledged.toml
        explanations/<id>/      heatmaps of single photos, by `fledged explain`
        tests/<id>/             answers to unlabelled photos, by `fledged test`
        tracking/               what trackers write, if training is told to: `fledged train --track`
        cache/                  may be deleted at any time
        latest.json             the newest product of each kind

Files are written as `writing` does; the record comes last. So whatever is killed whenever, a product is either there
whole or not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel

from fledged import DEFAULT_WORK, leftovers, places
from fledged.errors import FledgedError, LakeError, ProductError, WorkspaceError
from fledged.mirror import Mirror
from fledged.product_files import MAKERS, AnyProduct, open_product, write_record
from fledged.products import Product
from fledged.writing import bytes_of_file, disk_errors, make_folder, sha256_of_file, write_bytes

DEFAULT = DEFAULT_WORK
NEWEST = "newest"
LOCK_TIMEOUT_S = 3600.0


class Workspace:
    """A working folder."""

    def __init__(self, root: str | os.PathLike[str] = DEFAULT) -> None:
        self.place = located(root)  # what a person calls it: a folder or an address
        # Of an address, everything happens in a copy on this machine, and products are pulled and pushed whole.
        self.mirror = Mirror(self.place) if places.is_remote(self.place) else None
        self.root = self.mirror.root if self.mirror else Path(self.place)

    def folder(self, kind: str, product_id: str) -> Path:
        """Where a product lies, or will."""
        return self.root / f"{kind}s" / product_id

    def cache(self, name: str) -> Path:
        """A place for what can be computed again."""
        return self.root / "cache" / name

    @property
    def decisions(self) -> Path:
        """People's decisions, one JSON object a line."""
        return self.root / "decisions.jsonl"

    def decisions_sha256(self) -> str:
        """Of the log of decisions; "" if there is none."""
        return sha256_of_file(self.decisions) if self.decisions.exists() else ""

    def splits(self, scheme: str) -> Path:
        """Which part of a split each photo is in, one a line."""
        return self.root / "splits" / f"{scheme}.csv"

    @contextlib.contextmanager
    def lock(self, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
        """Held by a verb while it works; a second process waits, and after `timeout_s` gets a WorkspaceError."""
        with disk_errors(self.root):
            make_folder(self.root)
            # The lock dies with its process, so nothing is left to clean up after a crash.
            lock = FileLock(self.root / ".lock", timeout=timeout_s)
            try:
                lock.acquire()
            except Timeout as error:
                raise WorkspaceError(
                    f"Another fledged process has been working here for over {timeout_s:.0f} s",
                    where=self.root,
                    remedy="Wait for it, stop it, or take another folder with --work DIR.",
                ) from error
        try:
            leftovers.remove_abandoned(self.root)
            self._sync()
            try:
                yield
            except BaseException:
                with contextlib.suppress(FledgedError):  # the first error is the one to tell
                    self._sync()
                raise
            self._sync()
        finally:
            lock.release()

    def _sync(self) -> None:
        """What people and splits have grown here and elsewhere, put together."""
        if self.mirror is not None:
            self.mirror.sync_lines(self.decisions.name)
            self.mirror.sync_folder("splits")

    def sync_decisions(self) -> None:
        """Decisions that were made here go to where the working folder is, and those of others come here."""
        if self.mirror is not None:
            self.mirror.sync_lines(self.decisions.name)

    def share(self, *made: Path) -> None:
        """Files and folders of the working folder that are no products go to where it is."""
        if self.mirror is None:
            return
        for path in made:
            name = path.relative_to(self.root).as_posix()
            (self.mirror.push_folder if path.is_dir() else self.mirror.push_file)(name)

    def fetch(self, path: Path) -> None:
        """A file that another machine has shared comes here."""
        if self.mirror is not None:
            self.mirror.pull_file(path.relative_to(self.root).as_posix())

    def find(self, kind: type[AnyProduct], product_id: str) -> AnyProduct | None:
        """The product with this id if it is here, whole and of this format; it becomes the newest of its kind."""
        is_there = self._pulled(kind, product_id)
        folder, record = self.folder(kind.kind, product_id), f"{kind.kind}.json"
        if not (folder / record).exists():
            return None
        try:
            product = self._opened(kind, product_id)
        except ProductError:
            return None  # damaged or outdated: it is made again
        if self.mirror is not None and not is_there:  # it could not be pushed when it was made
            self.mirror.push(self._relative(folder), record, None)
        self._remember(product)
        return product

    def load(self, kind: type[AnyProduct], product_id: str | None = None) -> AnyProduct:
        """A product by its id (a unique beginning is enough, `run:3f9a` too), or the newest (`run:newest` too).

        Raises ProductError if there is none, or if its files are not what they were.
        """
        wanted = (product_id or NEWEST).removeprefix(f"{kind.kind}:")
        if is_newest := wanted == NEWEST:
            wanted = self._latest().get(kind.kind, "")
        known = self._ids(kind)
        matches = [name for name in known if wanted and name.startswith(wanted)]
        if len(matches) == 1 or wanted in matches:
            chosen = wanted if wanted in matches else matches[0]
            self._pulled(kind, chosen)
            return self._opened(kind, chosen)
        if is_newest:
            elsewhere = "" if self.root == DEFAULT else f" --work {shlex.quote(self.place)}"
            remedy = f"Run: {MAKERS[kind.kind]}{elsewhere}"
            raise ProductError(f"There is no {kind.kind} yet", where=self.place, remedy=remedy)
        listed = ", ".join(known) or "none"
        what = "is not unique" if matches else "does not exist"
        raise ProductError(f"The {kind.kind} `{wanted}` {what}", where=self.place, remedy=f"There are: {listed}.")

    def newest(self, kind: type[AnyProduct]) -> Path | None:
        """Where the newest product of a kind lies, not opened; None if there is none."""
        product_id = self._latest().get(kind.kind)
        if product_id is not None:
            self._pulled(kind, product_id)
        return self.folder(kind.kind, product_id) if product_id else None

    def all(self, kind: type[AnyProduct]) -> Iterator[AnyProduct]:
        """Every product of a kind, whole and of this format, by id."""
        for product_id in self._ids(kind):
            with contextlib.suppress(ProductError):
                self._pulled(kind, product_id)
                yield self._opened(kind, product_id)

    def records(self, kind: type[AnyProduct]) -> Iterator[Path]:
        """The records of all products of a kind, by id, not judged."""
        for product_id in self._ids(kind):
            with contextlib.suppress(ProductError):
                self._pulled(kind, product_id)
            yield self.folder(kind.kind, product_id) / f"{kind.kind}.json"

    def save(self, product: AnyProduct) -> AnyProduct:
        """Write the record, after all of its files are in place; from now on the product exists.

        In a bucket, where another machine has saved the same product meanwhile, that one stands and is returned.
        """
        folder = self.folder(product.kind, product.id)
        record = folder / f"{product.kind}.json"
        before = bytes_of_file(record) if self.mirror is not None and record.exists() else None
        named = write_record(product, folder)
        if self.mirror is not None and not self.mirror.push(self._relative(folder), record.name, before):
            named = open_product(type(product), folder)
        self._remember(named)
        return named

    def _ids(self, kind: type[Product]) -> list[str]:
        here = {path.parent.name for path in self.root.glob(f"{kind.kind}s/*/{kind.kind}.json")}
        return sorted(here | {*(self.mirror.ids(f"{kind.kind}s") if self.mirror is not None else ())})

    def _relative(self, folder: Path) -> str:
        return folder.relative_to(self.root).as_posix()

    def _pulled(self, kind: type[Product], product_id: str, *, check: bool = False) -> bool:
        """Whether the bucket has this product, which then is here as well."""
        if self.mirror is None:
            return False
        return self.mirror.pull(self._relative(self.folder(kind.kind, product_id)), f"{kind.kind}.json", check=check)

    def _opened(self, kind: type[AnyProduct], product_id: str) -> AnyProduct:
        folder = self.folder(kind.kind, product_id)
        try:
            return open_product(kind, folder)
        except ProductError:
            if not self._pulled(kind, product_id, check=True):  # damaged here, it comes from the bucket again
                raise
            return open_product(kind, folder)

    def _latest(self) -> dict[str, str]:
        if self.mirror is not None:
            return self.mirror.latest()
        try:
            latest = json.loads(bytes_of_file(self.root / "latest.json"))
        except (FileNotFoundError, ValueError):
            return {}
        if not isinstance(latest, dict):
            return {}
        return {kind: newest for kind, newest in latest.items() if isinstance(newest, str)}

    def _remember(self, product: Product) -> None:
        if self.mirror is not None:
            self.mirror.latest(product.kind, product.id)
            return
        latest = self._latest()
        if latest.get(product.kind) != product.id:
            write_bytes(self.root / "latest.json", json.dumps(latest | {product.kind: product.id}).encode())


def located(work: str | os.PathLike[str]) -> str:
    """A working folder as it is told to people: a path as it was given, or an address spelled in one way."""
    try:
        return places.resolved(work) if places.looks_remote(work) else os.fspath(work)
    except LakeError as error:
        raise WorkspaceError(error.what, where=error.where, remedy="Take s3://BUCKET/FOLDER, or a folder.") from error


def product_id(kind: type[Product], *made_from: object) -> str:
    """The id of a product of these parents and this resolved config: 12 hex digits."""
    parts = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in made_from]
    text = json.dumps([kind.kind, kind.format_version, parts], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def now() -> datetime:
    """The time that goes into a record."""
    return datetime.now(UTC).replace(microsecond=0)
