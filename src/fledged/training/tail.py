"""Training the last blocks of a backbone: the frozen ones before them are computed once for each photo and view."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from fledged import engine
from fledged.augmenting import views
from fledged.embedding.activations import Activations, Store, activations_of, anew, open_graphs
from fledged.embedding.engines import Ask
from fledged.embedding.features import Embedding
from fledged.embedding.room import NoRoom
from fledged.fitting.batches import WHOLE, Batch, Batches, IntArray, Part, epoch_of, read_split
from fledged.fitting.plan import Plan
from fledged.fitting.processes import ALONE, Group
from fledged.products import Dataset, Preprocess
from fledged.recipes import Recipe
from fledged.settings.training import TrainConfig

_LOG = logging.getLogger("fledged")

_AHEAD = 4  # batches that are made while the network works


@dataclass(frozen=True, slots=True)
class TailBatches:
    """Activations (B, *shape) of frozen blocks; an epoch shows each photo once, in a view drawn at random."""

    take: Activations | Frozen
    labels_N: IntArray
    n_views: int
    batch_size: int
    seed: int
    shuffle: bool
    balanced: bool = False
    part: Part = WHOLE

    @property
    def per_epoch(self) -> int:
        """Batches an epoch."""
        return -(-len(self.labels_N) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, which counts from 1."""
        order, view = epoch_of(self.labels_N, self.n_views, self.shuffle, self.balanced, (self.seed, epoch))
        starts = iter(range(0, len(order), self.batch_size))
        ahead: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(engine.n_workers(0), initializer=views.alone) as pool:
            while True:
                while len(ahead) < _AHEAD and (start := next(starts, None)) is not None:
                    chosen = slice(start, start + self.batch_size)
                    ahead.append(pool.submit(self._batch, view[chosen], order[chosen]))
                if not ahead:
                    return
                yield ahead.popleft().result()

    def _batch(self, view_B: IntArray, photo_B: IntArray) -> Batch:
        read = self.part.read(len(photo_B))
        return torch.from_numpy(self.take.take(view_B[read], photo_B[read])), torch.from_numpy(self.labels_N[photo_B])


@dataclass(frozen=True, slots=True)
class Frozen:
    """Activations computed anew each time, where there is no room to keep them: the same numbers, only slower."""

    asks: list[Ask]
    how: Preprocess
    photos: tuple[tuple[bytes, str], ...]  # jpeg and sha256
    recipe: Recipe

    def take(self, view_B: IntArray, photo_B: IntArray) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
        """Those of these views of these photos (B, *shape)."""
        each = zip(view_B.tolist(), photo_B.tolist(), strict=True)
        return np.concatenate([anew(self.asks, self.photos[at], self.how, (view, self.recipe)) for view, at in each])


def tail_batches(
    dataset: Dataset, frozen: Embedding, plan: Plan, config: TrainConfig, store: Store, group: Group = ALONE
) -> tuple[Batches, Batches]:
    """Batches of train (some views each) and of what judges it (as served), cached where there is room.

    Of several processes each computes a part of what the cache lacks, and takes its part of each batch.
    """

    recipe = config.augment.recipe

    def batches(photos: pl.DataFrame, n_views: int, shuffle: bool) -> TailBatches:
        try:
            if group.size > 1:
                with contextlib.suppress(NoRoom):  # decided below, where all of the photos are asked for
                    activations_of(photos[group.rank :: group.size], frozen, n_views, recipe, store)
                group.wait()
            take: Activations | Frozen = activations_of(photos, frozen, n_views, recipe, store)
        except NoRoom as reason:
            _LOG.warning("Activations are not kept, but computed in each epoch: %s", reason)
            rows = tuple(photos.select("jpeg", "sha256").rows())
            take = Frozen(open_graphs(frozen), frozen.how, rows, recipe)
        labels_N = photos["label"].to_numpy().astype(np.int64)
        balanced = shuffle and plan.balance == "sampling"
        part = Part(group.rank, group.size, reads_all=shuffle and plan.loss.mixes)
        return TailBatches(take, labels_N, n_views, plan.batch_size, plan.seed, shuffle, balanced, part)

    train, judge = read_split(dataset, "train"), read_split(dataset, plan.judged_on)
    # First those of one view: what makes room for them would not know that the others are needed as well.
    judging = batches(judge, 1, False)
    return batches(train, config.views, True), judging
