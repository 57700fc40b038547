"""What every worker process needs around it, whoever started it."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder_here() -> str:
    """The folder that relative paths are read from; the root where that folder has been removed meanwhile."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return os.sep


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Without Pillow's own words about damaged files: they name none, and the reason is in the photo's row."""
    pillow = logging.getLogger("PIL")
    level = pillow.level
    pillow.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    finally:
        pillow.setLevel(level)
