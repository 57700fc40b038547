"""A backbone of 99,000 parameters with drawn weights, for tests of everything but how well a network sees."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch

BACKBONE = "timm:test_efficientnet"


def _weights() -> Path:
    """The same bytes in every process."""
    folder = Path(tempfile.mkdtemp(prefix="fledged-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(BACKBONE.removeprefix("timm:"), num_classes=0)
    path = folder / "test_efficientnet.safetensors"
    safetensors.torch.save_file(model.state_dict(), path)
    return path


# Settings of `train`.
TINY: dict[str, Any] = {"backbone": BACKBONE, "weights": str(_weights())}
# The same on a command line.
TINY_FLAGS = ["--backbone", BACKBONE, "--weights", TINY["weights"]]
