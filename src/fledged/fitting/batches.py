"""What the loop is fed: (inputs, labels) batches of an epoch, decided by the seed and the epoch alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from fledged import engine
from fledged.augmenting import views
from fledged.errors import naming
from fledged.products import Dataset, Preprocess, Split
from fledged.recipes import Recipe

Batch = tuple[torch.Tensor, torch.Tensor]  # the inputs of a process's part, and the labels of the whole batch
IntArray = npt.NDArray[np.int64]


_MOST_EPOCHS = 10_000  # that the settings allow


@dataclass(frozen=True, slots=True)
class Part:
    """Which photos of each batch a process takes; one process takes all of them."""

    rank: int = 0
    of: int = 1
    reads_all: bool = False  # where photos are mixed with any other of the batch

    def own(self, n_photos: int) -> slice:
        """Those of a batch of so many that are learned from, or judged, here; none where others have them all."""
        return slice(n_photos * self.rank // self.of, n_photos * (self.rank + 1) // self.of)

    def run(self, n_photos: int) -> slice:
        """Those that go through the network here: at least one, since all processes wait for each other there."""
        own = self.own(n_photos)
        return own if own.stop > own.start else slice(0, 1)

    def read(self, n_photos: int) -> slice:
        """Those that a batch holds here."""
        return slice(0, n_photos) if self.reads_all else self.run(n_photos)


WHOLE = Part()


class Batches(Protocol):
    """Batches of each epoch."""

    @property
    def part(self) -> Part:
        """What of each batch this process takes."""
        ...

    @property
    def per_epoch(self) -> int:
        """Batches an epoch."""
        ...

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, which counts from 1."""
        ...


def read_split(dataset: Dataset, split: Split) -> pl.DataFrame:
    """jpeg, label (class index) and sha256 of each photo of a split."""
    with naming(dataset.folder):
        return pl.concat([pl.read_parquet(path) for path in dataset.shards(split)]).select(
            pl.col("image").struct.field("bytes").alias("jpeg"), "label", "sha256"
        )


def draw(labels_N: IntArray, balanced: bool, random: np.random.Generator) -> IntArray:
    """The photos (positions) of an epoch, in random order: each once, or as many of every class if `balanced`.

    Then photos of a small class come several times, no two of them differing by more than one, and a large class shows
    other photos each epoch. An epoch has as many photos either way.
    """
    n_photos = len(labels_N)
    if not balanced:
        return random.permutation(n_photos)
    present = random.permutation(np.unique(labels_N))  # so that no class always gets what does not divide evenly
    drawn = []
    for number, label in enumerate(present):
        of_label = np.flatnonzero(labels_N == label)
        n_wanted = n_photos // len(present) + (number < n_photos % len(present))
        rounds = [random.permutation(of_label) for _ in range(-(-n_wanted // len(of_label)))]
        drawn.append(np.concatenate(rounds)[:n_wanted])
    return random.permutation(np.concatenate(drawn))


@dataclass(frozen=True, slots=True)
class FeatureBatches:
    """Cached features (K views, N photos, F); an epoch shows each photo once, in a view drawn at random."""

    features_KNF: torch.Tensor
    labels_N: torch.Tensor
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
        n_views, n_photos, _ = self.features_KNF.shape
        photos, views_ = epoch_of(self.labels_N.numpy(), n_views, self.shuffle, self.balanced, (self.seed, epoch))
        order, view = torch.from_numpy(photos), torch.from_numpy(views_)
        for start in range(0, n_photos, self.batch_size):
            chosen = slice(start, start + self.batch_size)
            read = self.part.read(len(order[chosen]))
            yield self.features_KNF[view[chosen][read], order[chosen][read]], self.labels_N[order[chosen]]


def epoch_of(
    labels_N: IntArray, n_views: int, shuffle: bool, balanced: bool, seed_and_epoch: tuple[int, int]
) -> tuple[IntArray, IntArray]:
    """The photos (positions) of an epoch in their order, and which view is shown each time."""
    random = np.random.default_rng(seed_and_epoch)
    order = draw(labels_N, balanced, random) if shuffle else np.arange(len(labels_N))
    view = random.integers(n_views, size=len(labels_N))
    return order, view if balanced else view[order]


def showings(order: IntArray) -> IntArray:
    """Of the photos of an epoch in their order, how often each was shown before."""
    by_photo = np.argsort(order, kind="stable")
    _, starts, counts = np.unique(order[by_photo], return_index=True, return_counts=True)
    shown = np.empty(len(order), np.int64)
    shown[by_photo] = np.arange(len(order)) - np.repeat(starts, counts)
    return shown


@dataclass(frozen=True, slots=True)
class PhotoBatches:
    """uint8 (N, S, S, 3) views decoded by threads while the network works; a new view of each photo each epoch."""

    photos: pl.DataFrame  # jpeg, label, sha256
    how: Preprocess
    batch_size: int
    seed: int
    augment: bool
    balanced: bool = False
    recipe: Recipe = ()
    part: Part = WHOLE

    @property
    def per_epoch(self) -> int:
        """Batches an epoch."""
        return -(-self.photos.height // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, which counts from 1."""
        n_photos = self.photos.height
        random = np.random.default_rng([self.seed, epoch])
        labels_N = self.photos["label"].to_numpy()
        order = draw(labels_N, self.balanced, random) if self.augment else np.arange(n_photos)
        # A photo that is shown again in an epoch is another view, which no epoch has.
        views_of = epoch + _MOST_EPOCHS * showings(order) if self.augment else np.zeros(n_photos, np.int64)
        starts = iter(range(0, n_photos, self.batch_size))
        ahead: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(engine.n_workers(0), initializer=views.alone) as pool:
            while True:
                while len(ahead) < 4 and (start := next(starts, None)) is not None:
                    chosen = slice(start, start + self.batch_size)
                    ahead.append(pool.submit(self._batch, order[chosen], views_of[chosen]))
                if not ahead:
                    return
                yield ahead.popleft().result()

    def _batch(self, positions: IntArray, views_of: IntArray) -> Batch:
        read = self.part.read(len(positions))
        each = zip(self.photos["jpeg"][positions[read]].to_list(), views_of[read].tolist(), strict=True)
        photos_NHWC = np.stack([views.view(jpeg, self.how, number, self.recipe) for jpeg, number in each])
        return torch.from_numpy(photos_NHWC), torch.tensor(self.photos["label"][positions].to_list())
