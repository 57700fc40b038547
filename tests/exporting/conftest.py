"""A small trained and evaluated run of drawn photos."""

from __future__ import annotations

from pathlib import Path

import pytest

from fledged.evaluating.evaluate import evaluate
from fledged.preparing.prepare import prepare
from fledged.products import Report, Run
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.training.train import train
from tests.tiny import TINY


@pytest.fixture(scope="session")
def work(clean_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a run and its report in it."""
    folder = tmp_path_factory.mktemp("exporting")
    scan(clean_lake, work=folder)
    review(work=folder, train=TINY)
    prepare(work=folder, shorter_side_px=64)
    train(work=folder, report=silent, input={"size_px": 64}, views=1, epochs=5, **TINY)
    evaluate(work=folder, report=silent)
    return folder


@pytest.fixture(scope="session")
def run(work: Path) -> Run:
    """The run."""
    return train(work=work, report=silent, input={"size_px": 64}, views=1, epochs=5, **TINY)


@pytest.fixture(scope="session")
def judged(work: Path, run: Run) -> Report:
    """Its report on the test split."""
    return evaluate(run, work=work, report=silent)
