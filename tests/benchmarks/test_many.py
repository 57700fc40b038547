"""The lake of very many tiny photos is what it says: the same each time, with equal, alike and broken ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.many import CLASSES, make
from fledged.scanning.probe import probe


def test_a_lake_of_many_has_copies_and_broken_ones(tmp_path: Path) -> None:
    near = make(tmp_path / "a", 1_000)
    files = sorted((tmp_path / "a").rglob("*.jpg"))
    data = [path.read_bytes() for path in files]
    assert len({path.parent for path in files}) == CLASSES
    assert len(set(data)) == 980
    assert make(tmp_path / "b", 1_000) == near
    assert [path.read_bytes() for path in sorted((tmp_path / "b").rglob("*.jpg"))] == data
    for first, second in near:
        one, other = (np.asarray(Image.open(tmp_path / "a" / path), np.float32) for path in (first, second))
        assert 0 < np.abs(one - other).mean() < 12
        assert first.partition("/")[0] == second.partition("/")[0]
    assert len(near) == 20
    assert sum(probe(path, 10**6, 10**6).error is not None for path in files) == 1
