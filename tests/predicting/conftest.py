"""The tiny bundle of the server's tests, opened."""

from __future__ import annotations

from tests.serving.conftest import bundle, client, predictor, url, work

__all__ = ["bundle", "client", "predictor", "url", "work"]
