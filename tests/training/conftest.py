"""A small prepared dataset of drawn photos."""

from __future__ import annotations

from pathlib import Path

import pytest

from fledged.preparing.prepare import prepare
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.training.train import train


@pytest.fixture(scope="session")
def work(clean_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a dataset in it."""
    folder = tmp_path_factory.mktemp("training")
    scan(clean_lake, work=folder)
    review(work=folder)
    prepare(work=folder, shorter_side_px=64)
    return folder


@pytest.fixture(scope="session")
def dataset(work: Path) -> Dataset:
    """The dataset in it."""
    return prepare(work=work, shorter_side_px=64)


@pytest.fixture(scope="session")
def run(work: Path, dataset: Dataset) -> Run:
    """A head that was trained on it; tests must not change it."""
    return train(
        dataset, work=work, report=silent, backbone="efficientnet_lite0", input={"size_px": 64}, views=2, epochs=6
    )
