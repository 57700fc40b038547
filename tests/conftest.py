"""Fixtures that several rooms share: a small drawn lake, and what the chain makes of it, computed once."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported anywhere: its threads otherwise spin while they wait, and take cores from other processes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # there is one of these for each core already
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from playwright.sync_api import Browser

from demo.drawing import Planted, draw_lake
from fledged.engine import Engine, engine_of
from fledged.preparing.prepare import prepare
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.settings.engine import EngineConfig
from fledged.spreading.ray_cluster import connected
from fledged.training.train import train
from tests.browsing import chromium
from tests.minutes import WHY
from tests.tiny import TINY

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("fledged", deadline=None)
settings.load_profile("fledged")


# A file goes to one process as a whole: one of these that began last would keep the others waiting.
_LONGEST = (
    "test_faults.py",
    "test_readme.py",
    "test_real_photos.py",
    "test_planted.py",
    "test_train.py",
    "test_deploy.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, then those with the most tests."""
    n_tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.name not in _LONGEST, -n_tests[item.path], str(item.path)))


@pytest.fixture(scope="session", autouse=True)
def _no_fledged_toml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests run in an empty folder, so that no settings file of the machine takes part."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def ray_engine() -> Iterator[Engine]:
    """A Ray on this machine, one for all tests."""
    if "FLEDGED_CLUSTER" not in os.environ:
        pytest.skip(WHY)
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))  # its workers import what the tests do
        connected(EngineConfig(name="ray"))
    yield engine_of({"name": "ray"})
    ray.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real chromium; not for longer than a module, since its event loop stands in the way of asyncio.run."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def messy_lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planted]:
    """Four classes of small drawn photos with every defect in them; tests must not change it."""
    folder = tmp_path_factory.mktemp("messy") / "lake"
    return folder, draw_lake(folder, n_per_class=12, size_px=(96, 72))


@pytest.fixture(scope="session")
def clean_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of small drawn photos; tests must not change it."""
    folder = tmp_path_factory.mktemp("clean") / "lake"
    draw_lake(folder, n_per_class=10, defects=False, size_px=(96, 72))
    return folder


@pytest.fixture(scope="session")
def work(clean_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a dataset in it."""
    folder = tmp_path_factory.mktemp("training")
    scan(clean_lake, work=folder)
    review(work=folder, train=TINY)
    prepare(work=folder, shorter_side_px=64)
    return folder


@pytest.fixture(scope="session")
def dataset(work: Path) -> Dataset:
    """The dataset in it."""
    return prepare(work=work, shorter_side_px=64)


@pytest.fixture(scope="session")
def run(work: Path, dataset: Dataset) -> Run:
    """A head that was trained on it; tests must not change it."""
    return train(dataset, work=work, report=silent, input={"size_px": 64}, views=2, epochs=6, **TINY)
