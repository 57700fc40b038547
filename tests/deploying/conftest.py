"""A package of a tiny bundle, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from fledged.deploying.deploy import deploy
from fledged.products import Bundle, Package
from fledged.progress import silent
from tests.bundles import make_tiny_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("deploy"))


@pytest.fixture(scope="session")
def work(bundle: Bundle) -> Path:
    return bundle.folder.parent.parent


@pytest.fixture(scope="session")
def packed(bundle: Bundle, work: Path) -> Package:
    """Tests must not change it."""
    return deploy(bundle, work=work, report=silent)
