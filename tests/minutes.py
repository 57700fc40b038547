"""What takes minutes and many processes: `make cluster` runs it too."""

from __future__ import annotations

import os

import pytest

WHY = "starts or kills many processes, for minutes; `make cluster` does"

needs_minutes = pytest.mark.skipif("FLEDGED_CLUSTER" not in os.environ, reason=WHY)
