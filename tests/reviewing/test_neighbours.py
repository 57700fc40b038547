"""The nearest photos are found as if each had been compared with each, wherever and by however many that is done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from fledged.engine import LOCAL
from fledged.reviewing import neighbours
from fledged.reviewing.neighbours import nearest

Array = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def unit(rows: Array) -> npt.NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def drawn(n: int, n_directions: int = 16) -> npt.NDArray[np.float32]:
    return unit(np.random.default_rng(1).normal(size=(n, n_directions)))


def test_neighbours_are_the_nearest_and_never_oneself() -> None:
    features = drawn(300)
    found = nearest(features, 5)
    every = features @ features.T
    np.fill_diagonal(every, -2)
    np.testing.assert_allclose(found.cosine_NK, -np.sort(-every, axis=1)[:, :5], atol=1e-6)
    assert not (found.index_NK == np.arange(300)[:, None]).any()


@pytest.mark.parametrize("exact_below", [0, 100])
@pytest.mark.parametrize("n", [0, 1, 3])
def test_few_photos_have_few_neighbours(n: int, exact_below: int) -> None:
    found = nearest(unit(np.eye(4, dtype=np.float32)[:n] + 0.1), 5, exact_below=exact_below)
    assert found.index_NK.shape == found.cosine_NK.shape == (n, 5)
    assert ((found.index_NK >= 0).sum(1) == max(0, n - 1)).all()


def test_large_lakes_are_searched_cell_by_cell_and_nearly_the_same_is_found() -> None:
    features = drawn(5000)
    exact, by_cells = nearest(features, 5), nearest(features, 5, exact_below=100)
    shared = [len(set(a) & set(b)) for a, b in zip(exact.index_NK.tolist(), by_cells.index_NK.tolist(), strict=True)]
    assert np.mean(shared) > 4.7
    rows = np.arange(5000)[:, None]
    assert not (by_cells.index_NK == rows).any()
    cosine = np.einsum("nf,nkf->nk", features, features[by_cells.index_NK])
    np.testing.assert_allclose(by_cells.cosine_NK, cosine, atol=1e-6)
    assert (np.diff(by_cells.cosine_NK, axis=1) <= 0).all()
    assert all(len(set(row)) == 5 for row in by_cells.index_NK.tolist())


def test_what_is_found_depends_on_no_number_of_workers() -> None:
    features = drawn(3000)
    one, three = (nearest(features, 5, replace(LOCAL, workers=n), exact_below=100) for n in (1, 3))
    assert np.array_equal(one.index_NK, three.index_NK)
    assert np.array_equal(one.cosine_NK, three.cosine_NK)


def test_a_crowd_of_equal_photos_is_cut_and_each_finds_others_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_MOST_MEMBERS", 64)
    features = drawn(2000)
    features[500:1500] = features[500]
    found = nearest(features, 5, exact_below=100)
    assert np.allclose(found.cosine_NK[500:1500], 1, atol=1e-6)
    assert ((found.index_NK[500:1500] >= 500) & (found.index_NK[500:1500] < 1500)).all()
