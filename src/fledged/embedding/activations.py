"""The frozen blocks, computed once: what leaves them for each photo and view, kept on disk in half precision.

Training the blocks after the cut then reads these activations instead of photos: the frozen part, which is most of the
work, is not computed again in any epoch, seed, fold or learning-rate range test. They are memory-mapped, so that memory
does not grow with their number. A part is named by what is in it, and its list of keys is written last: what a crash
leaves behind is computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from fledged import engine
from fledged.augmenting import views
from fledged.embedding import engines, kept
from fledged.embedding.engines import SERVES, Ask, Float32Array
from fledged.embedding.features import Embedder, Embedding, copy_keys, embed, killed, open_graph
from fledged.embedding.kept import Float16Array
from fledged.embedding.room import NoRoom, make_room
from fledged.errors import WorkspaceError, naming
from fledged.pages import words
from fledged.products import Preprocess
from fledged.progress import Report
from fledged.recipes import Recipe
from fledged.workspace import Workspace
from fledged.writing import disk_errors, make_folder

_LOG = logging.getLogger("fledged")

_CHUNK = 16  # photos that a thread takes at once
_PART_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Activations:
    """What leaves the frozen blocks: of each view and photo the place where it lies."""

    parts: tuple[Float16Array, ...]  # memory-mapped, (n, *shape) each
    place_KN2: npt.NDArray[np.int64]  # of view k of photo n: the part, and the row in it

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one photo's."""
        return self.parts[0].shape[1:]

    def take(self, view_B: npt.NDArray[np.int64], photo_B: npt.NDArray[np.int64]) -> Float16Array:
        """Those of these views of these photos (B, *shape)."""
        batch = np.empty((len(photo_B), *self.shape), np.float16)
        for place, (part, row) in enumerate(self.place_KN2[view_B, photo_B]):
            batch[place] = self.parts[part][row]
        return batch


@dataclass(frozen=True, slots=True)
class Store:
    """Where activations are kept, and how many bytes all of them may take there."""

    workspace: Workspace
    limit_bytes: int
    report: Report


def n_bytes(n_photos: int, n_views: int, shape: tuple[int, ...]) -> int:
    """What the activations of so many photos take on disk."""
    return n_photos * n_views * int(np.prod(shape)) * np.dtype(np.float16).itemsize


def n_lacking(keys: pl.Series, frozen: Embedding, number: int, recipe: Recipe, workspace: Workspace) -> int:
    """How many of these shrunk copies' activations would have to be computed."""
    known = kept.known(_folder(frozen, number, recipe, workspace))
    return sum(key not in known for key in set(keys))


def activations_of(photos: pl.DataFrame, frozen: Embedding, n_views: int, recipe: Recipe, store: Store) -> Activations:
    """The activations of views 0 to n_views - 1 of the photos (columns sha256 and jpeg): cached ones, or computed now.

    Of other frozen blocks, those that were used least recently are removed where all together would take more than the
    store's limit. Raises NoRoom where these alone would, or where the disk is full.
    """
    photos = photos.with_columns(copy=copy_keys(photos["jpeg"]))
    distinct = photos.unique("copy", keep="first", maintain_order=True)
    return _opened(photos["copy"], _filled(distinct, frozen, n_views, recipe, store, ()))


def _filled(
    distinct: pl.DataFrame, frozen: Embedding, n_views: int, recipe: Recipe, store: Store, needed: Sequence[Path]
) -> list[Path]:
    """The folders of the views, with all of these photos in them; the `needed` ones stay as well."""
    folders = [_folder(frozen, number, recipe, store.workspace) for number in range(n_views)]
    try:
        for folder in folders:
            with disk_errors(folder):
                make_folder(folder)
            kept.remove_damaged(folder)
        missing = [distinct.filter(~pl.col("copy").is_in(kept.known(folder).keys())) for folder in folders]
        if frozen.base is not None and (lacking := pl.concat(missing).unique("copy", maintain_order=True)).height:
            _filled(lacking, frozen.base, n_views, recipe, store, [*folders, *needed])
        if wanted := sum(some.height for some in missing) * n_bytes(1, 1, shape_of(frozen)):
            bases = [_folder(frozen.base, number, recipe, store.workspace) for number in range(n_views) if frozen.base]
            make_room([*folders, *bases, *needed], wanted, store.limit_bytes)
            which = words.photos(pl.concat([some["copy"] for some in missing]).n_unique())
            n_lacked = sum(not some.is_empty() for some in missing)
            which += f", {n_lacked} view{'s' if n_lacked > 1 else ''}"
            _LOG.info("Activations of the frozen blocks: %s (%s) in %s", words.amount(wanted), which, folders[0].parent)
        for number, (folder, some) in enumerate(zip(folders, missing, strict=True)):
            if not some.is_empty():
                _compute(some, frozen, (number, recipe), folder, store)
            with contextlib.suppress(OSError):  # a disk that takes nothing any more can still be read
                os.utime(folder)  # used now, says the order in which folders are removed
    except WorkspaceError as error:
        raise NoRoom(error.fact) from error
    return folders


def _opened(keys: pl.Series, folders: Sequence[Path]) -> Activations:
    parts: list[Float16Array] = []
    places = np.empty((len(folders), len(keys), 2), np.int64)
    for number, folder in enumerate(folders):
        known = kept.known(folder)
        opened: dict[Path, int] = {}
        for photo, key in enumerate(keys):
            if key not in known:  # its part could not be opened when others could, such as for want of descriptors
                known = kept.known(folder)
            if key not in known:
                what = "A part of the activations is gone, or cannot be read"
                raise WorkspaceError(what, where=folder, remedy="Run the same command again.")
            path, row = known[key]
            if path not in opened:
                opened[path] = len(parts)
                with naming(path):
                    parts.append(np.load(path, mmap_mode="r", allow_pickle=False))
            places[number, photo] = opened[path], row
    return Activations(tuple(parts), places)


def _folder(frozen: Embedding, number: int, recipe: Recipe, workspace: Workspace) -> Path:
    parts = [frozen.kept_as, *views.key(number, recipe), frozen.how.model_dump_json()]
    return workspace.cache(f"activations/{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}")


def shape_of(frozen: Embedding) -> tuple[int, ...]:
    """Of what leaves the frozen blocks for one photo, such as (160, 7, 7)."""
    ask = engines.opened(SERVES, frozen.onnx)  # which opens it soonest
    if frozen.base is None:
        return ask(np.zeros((1, frozen.how.size_px, frozen.how.size_px, 3), np.uint8)).shape[1:]
    return _onward(ask, np.zeros((1, *shape_of(frozen.base)), np.float16)).shape[1:]


def _compute(photos: pl.DataFrame, frozen: Embedding, view: tuple[int, Recipe], folder: Path, store: Store) -> None:
    number, recipe = view
    step = "Computing frozen blocks" if number == 0 else f"Computing frozen blocks, view {number + 1}"
    a_part = max(16, _PART_BYTES // n_bytes(1, 1, shape_of(frozen)))
    n = photos.height
    # No batch reaches into the next part.
    edges = sorted({*range(0, n, a_part), *(at for a in range(0, n, a_part) for at in range(a, a + a_part, _CHUNK)), n})
    starts = list(itertools.pairwise(at for at in edges if at <= n))
    if frozen.base is None:
        rows = photos.select("jpeg", "sha256")
        photos_of = (rows[a:b].rows() for a, b in starts)
        made = engine.map_batches(Embedder(frozen, number, recipe), photos_of, killed, frozen.on)
    else:
        base = _opened(photos["copy"], [_folder(frozen.base, number, recipe, store.workspace)])
        taken = (list(base.take(np.zeros(b - a, np.int64), np.arange(a, b))) for a, b in starts)
        made = engine.map_batches(_Onward(replace(frozen, base=None)), taken, killed, frozen.on)
    store.report(step, 0, n)
    done: list[Float16Array] = []
    for (_, end), some in zip(starts, made, strict=True):
        done.append(half(np.stack(some)))
        store.report(step, end, n)
        if end == n or end % a_part == 0:
            kept.keep(photos["copy"][end - sum(map(len, done)) : end].to_list(), np.concatenate(done), folder)
            done = []


@dataclass(frozen=True, slots=True)
class _Onward:
    """The job that goes on from what the earlier blocks made."""

    later: Embedding

    def open(self) -> Callable[[Sequence[Float16Array]], list[Float32Array]]:
        """The graph, opened."""
        return partial(self._run, open_graph(self.later))

    def enter(self) -> None:
        """Nothing to do."""

    def _run(self, ask: Ask, batch: Sequence[Float16Array]) -> list[Float32Array]:
        return list(_onward(ask, batch))


def anew(asks: Sequence[Ask], photo: tuple[bytes, str], how: Preprocess, view: tuple[int, Recipe]) -> Float16Array:
    """The activations (1, *shape) of one view of a photo (jpeg and sha256), as they would be kept."""
    made = half(embed(asks[0], [photo], how, *view))
    for ask in asks[1:]:
        made = half(_onward(ask, made))
    return made


def open_graphs(frozen: Embedding) -> list[Ask]:
    """The graphs from the photo on, in their order."""
    return [*(open_graphs(frozen.base) if frozen.base else []), open_graph(frozen)]


def _onward(ask: Ask, activations: Iterable[Float16Array]) -> Float32Array:
    """What later blocks make of these, one at a time: each then depends on nothing else."""
    return np.concatenate([ask(each[None].astype(np.float32)) for each in activations])


def half(activations: npt.NDArray[np.float32]) -> Float16Array:
    """In half precision; what that cannot hold becomes its greatest number, not infinite."""
    greatest = np.finfo(np.float16).max
    return np.clip(activations, -greatest, greatest).astype(np.float16)
