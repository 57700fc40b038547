"""A package of a tiny bundle, made once for all processes that run tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fledged.deploying.deploy import deploy
from fledged.products import Bundle, Package
from fledged.progress import silent
from fledged.workspace import Workspace
from tests.bundles import make_tiny_bundle


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder in every process: whoever comes first packs, which takes seconds, and the others find it."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "deploying"


@pytest.fixture(scope="session")
def bundle(work: Path) -> Bundle:
    workspace = Workspace(work)
    with workspace.lock():
        return next(workspace.all(Bundle), None) or make_tiny_bundle(work)


@pytest.fixture(scope="session")
def packed(bundle: Bundle, work: Path) -> Package:
    """Tests must not change it."""
    return deploy(bundle, work=work, report=silent)
