"""What takes minutes and many processes: `make cluster` runs it too."""

from __future__ import annotations

import os

import pytest

needs_minutes = pytest.mark.skipif(
    "FLEDGED_CLUSTER" not in os.environ, reason="kills processes and machines for minutes; `make cluster` does"
)
