from __future__ import annotations

from collections.abc import Iterator

import pytest

from fledged.predicting.predictor import Predictor, load
from fledged.products import Bundle
from fledged.serving.decoding import decoders
from fledged.settings.serving import DecodeConfig
from tests.serving.conftest import serving


@pytest.fixture(scope="session")
def safe_predictor(bundle: Bundle) -> Iterator[Predictor]:
    """One that decodes in processes of its own, as `fledged serve` does."""
    with decoders(DecodeConfig(timeout_s=20)) as pool:
        assert pool is not None
        yield load(bundle, decode=pool.decode)


@pytest.fixture(scope="session")
def safe_url(safe_predictor: Predictor) -> Iterator[str]:
    with serving(safe_predictor, receive_timeout_s=1.5, max_megabytes=2, by_url={"enabled": True}) as url:
        yield url
