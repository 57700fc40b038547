"""How a product lies in its folder, and how it is opened again: files named by their hashes in a sealed record."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from fledged import places, regular
from fledged.buckets import Bucket
from fledged.errors import LakeError, ProductError
from fledged.mirror import Mirror, cache_folder, files_of
from fledged.products import Product
from fledged.writing import sha256_of_file, unreadable, write_bytes

AnyProduct = TypeVar("AnyProduct", bound=Product)

# kind -> the command that makes one
MAKERS = {
    "snapshot": "fledged scan PHOTOS/",
    "review": "fledged review",
    "dataset": "fledged prepare",
    "range_test": "fledged find-lr",
    "run": "fledged train",
    "report": "fledged evaluate",
    "bundle": "fledged export",
    "package": "fledged deploy",
}


def write_record(product: AnyProduct, folder: Path) -> AnyProduct:
    """Write the record of a product whose files are all in this folder; the product, with their hashes and its seal."""
    named = product.model_copy(update={"files": _hash_files(folder, product.kind)})
    named = named.model_copy(update={"seal": _seal_of(named.model_copy(update={"seal": ""}).model_dump_json(indent=2))})
    write_bytes(folder / f"{product.kind}.json", named.model_dump_json(indent=2).encode())
    named.at(folder)
    return named


def is_product(kind: type[Product], place: str | os.PathLike[str]) -> bool:
    """Whether a product of this kind lies in this very folder or behind this address."""
    if not places.looks_remote(place):
        return (Path(place) / f"{kind.kind}.json").exists()
    url = places.resolved(place)
    if not url.startswith("s3://"):
        return _record_behind(kind, url) is not None
    return Bucket(url, ProductError).seen(f"{kind.kind}.json") is not None


def stamp_of(kind: type[Product], place: str | os.PathLike[str]) -> str:
    """What changes with the product behind an address; "" if there is none."""
    url = places.resolved(place)
    if not url.startswith("s3://"):
        record = _record_behind(kind, url)
        return hashlib.sha256(record).hexdigest() if record else ""
    seen = Bucket(url, ProductError).seen(f"{kind.kind}.json")
    return seen.tag if seen else ""


def open_place(kind: type[AnyProduct], place: str | os.PathLike[str]) -> AnyProduct:
    """The product in a folder, or behind the address of one; that is pulled into the cache. Raises ProductError."""
    if not places.looks_remote(place):
        return open_product(kind, Path(place))
    url = places.resolved(place)
    if not places.is_remote(url):
        return open_product(kind, Path(url))
    remedy = f"It is the folder with a {kind.kind}.json."
    if not url.startswith("s3://"):
        folder = _fetched(kind, url)
        if folder is None:
            raise ProductError(f"There is no {kind.kind} at this address", where=url, remedy=remedy)
        return open_product(kind, folder)
    above, _, name = url.rpartition("/")
    mirror = Mirror(above, ProductError)
    if above.endswith("/") or not mirror.pull(name, f"{kind.kind}.json"):
        raise ProductError(f"There is no {kind.kind} at this address", where=url, remedy=remedy)
    return open_product(kind, mirror.root / name)


def _fetched(kind: type[Product], url: str) -> Path | None:
    """A copy of the product behind an address of another service than S3, by fsspec; None if there is none.

    Products there are read only. The record is the last file of a copy, which is named by it.
    """
    record = _record_behind(kind, url)
    if record is None:
        return None
    folder = cache_folder() / "products" / hashlib.sha256(record).hexdigest()[:16]
    for name, sha256 in files_of(record, url).items():
        path = folder / name
        if path.is_file() and sha256_of_file(path) == sha256:
            continue
        data = _behind(places.join(url, name))
        if data is None:
            raise ProductError(
                f"A file of this {kind.kind} is missing",
                where=places.join(url, name),
                remedy="Put it there again from a copy.",
            )
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ProductError(
                f"A file of this {kind.kind} is not what was written (sha256 differs)",
                where=places.join(url, name),
                remedy="Put it there again from a copy.",
            )
        write_bytes(path, data)
    write_bytes(folder / f"{kind.kind}.json", record)
    return folder


def _record_behind(kind: type[Product], url: str) -> bytes | None:
    return _behind(places.join(url, f"{kind.kind}.json"))


def _behind(url: str) -> bytes | None:
    """What lies there; None if there is nothing."""
    try:
        return places.download(url, -1, None)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise ProductError("You may not read this", where=url, remedy=places.REMEDY) from error
    except (LakeError, OSError) as error:
        what, remedy = (error.what, error.remedy) if isinstance(error, LakeError) else (str(error), places.REMEDY)
        raise ProductError(what, where=url, remedy=remedy) from error


def open_product(kind: type[AnyProduct], folder: Path) -> AnyProduct:
    """The product in a folder, its files verified by their sha256.

    Raises ProductError if it is damaged, and WorkspaceError if the disk does not let it be read: that is no damage, so
    nobody takes it as a reason to make it again.
    """
    record = folder / f"{kind.kind}.json"
    remake = f"Make it again with: {MAKERS[kind.kind]}"
    try:
        text = regular.read(record)
        version = int(json.loads(text)["version"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ProductError(f"There is no {kind.kind} here", where=folder, remedy=remake) from error
    except OSError as error:
        raise unreadable(record, error) from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ProductError(f"This record of a {kind.kind} is damaged", where=record, remedy=remake) from error
    if version != kind.format_version:
        age = "a newer" if version > kind.format_version else "an older"
        raise ProductError(
            f"This {kind.kind} is of {age} format ({version}, not {kind.format_version})",
            where=record,
            remedy="Take the fledged that wrote it, or make it again.",
        )
    try:
        product = kind.model_validate_json(text)
    except ValidationError as error:
        raise ProductError(f"This record of a {kind.kind} is damaged", where=record, remedy=remake) from error
    for name, expected in product.files.items():
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
            raise ProductError("This record names a file outside of its folder", where=record, remedy=remake)
        try:
            actual = sha256_of_file(path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise ProductError(f"A file of {kind.kind} {product.id} is missing", where=path, remedy=remake) from error
        except OSError as error:
            raise unreadable(path, error) from error
        if actual != expected:
            raise ProductError(
                f"A file of {kind.kind} {product.id} is not what was written (sha256 differs)",
                where=path,
                remedy=f"Restore it from a copy, or delete {folder} and run: {MAKERS[kind.kind]}",
            )
    if product.seal and _seal_of(text.decode().replace(f'"seal": "{product.seal}"', '"seal": ""', 1)) != product.seal:
        raise ProductError(
            f"This record of a {kind.kind} is not what was written (its seal differs)",
            where=record,
            remedy=f"Restore it from a copy, or delete {folder} and run: {MAKERS[kind.kind]}",
        )
    product.at(folder)
    return product


def _seal_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _hash_files(folder: Path, kind: str) -> dict[str, str]:
    """Every file of the product but its record, half-written files and working state."""
    return {
        path.relative_to(folder).as_posix(): sha256_of_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != f"{kind}.json" and not path.name.startswith(".")
    }
