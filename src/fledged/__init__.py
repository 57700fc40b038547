"""From a messy folder of photos to a small, honest, deployed image classifier.

import fledged

fledged.collect("plan.toml", "photos/")
snapshot = fledged.scan("photos/")
review = fledged.review(snapshot)
dataset = fledged.prepare(snapshot, review)
run = fledged.train(dataset)
report = fledged.evaluate(run)
bundle = fledged.export(run)
fledged.load(bundle).predict("x.jpg")
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fledged.errors import FledgedError

if TYPE_CHECKING:
    from fledged.collecting.collect import collect
    from fledged.deploying.deploy import deploy
    from fledged.deploying.invoke import invoke
    from fledged.evaluating.compare import compare
    from fledged.evaluating.evaluate import evaluate
    from fledged.evaluating.explain import explain
    from fledged.evaluating.test import test
    from fledged.exporting.export import export
    from fledged.flow import build
    from fledged.predicting.predictor import load
    from fledged.predicting.verify import verify
    from fledged.preparing.copy import copy
    from fledged.preparing.prepare import prepare
    from fledged.products import Bundle, Dataset, Package, Prediction, RangeTest, Report, Review, Run, Snapshot
    from fledged.reviewing.review import review
    from fledged.scanning.scan import scan
    from fledged.searching.tune import tune
    from fledged.serving.server import serve
    from fledged.training.lr_finder import find_lr
    from fledged.training.reproduce import reproduce
    from fledged.training.train import train

__version__ = "0.1.0"

# onnxruntime (1.31 on Linux) otherwise tells its maker of every session, and writes an identifier into the home folder.
# It looks only once, before its first session; who wants it to tell sets this to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Where products are kept unless `work` says otherwise.
DEFAULT_WORK = Path("fledged")

# Each name is imported when it is first asked for: importing fledged is cheap, and the base install needs no torch.
_HOMES = {
    "collect": "fledged.collecting.collect",
    "scan": "fledged.scanning.scan",
    "review": "fledged.reviewing.review",
    "prepare": "fledged.preparing.prepare",
    "copy": "fledged.preparing.copy",
    "find_lr": "fledged.training.lr_finder",
    "train": "fledged.training.train",
    "tune": "fledged.searching.tune",
    "reproduce": "fledged.training.reproduce",
    "evaluate": "fledged.evaluating.evaluate",
    "explain": "fledged.evaluating.explain",
    "test": "fledged.evaluating.test",
    "compare": "fledged.evaluating.compare",
    "export": "fledged.exporting.export",
    "build": "fledged.flow",
    "load": "fledged.predicting.predictor",
    "serve": "fledged.serving.server",
    "verify": "fledged.predicting.verify",
    "deploy": "fledged.deploying.deploy",
    "invoke": "fledged.deploying.invoke",
} | dict.fromkeys(
    ("Snapshot", "Review", "Dataset", "RangeTest", "Run", "Report", "Bundle", "Package", "Prediction"),
    "fledged.products",
)

# Which extra brings what, for the one line that says how to install it.
_EXTRAS = {
    "torch": "train",
    "torchvision": "train",
    "timm": "train",
    "accelerate": "train",
    "polars": "train",
    "pyarrow": "train",
    "sklearn": "train",
    "scipy": "train",
    "safetensors": "train",
    "loky": "train",
    "onnx": "train",
    "jinja2": "train",
    "openvino": "openvino",
    "executorch": "executorch",
    "torchao": "executorch",
    "coremltools": "coreml",
    "tomli_w": "train",
    "optuna": "tune",
    "ray": "ray",
    "boto3": "aws",
    "mangum": "aws",
    "obstore": "stores",
    "bs4": "collect",
    "ddgs": "collect",
    "httpcore": "collect",
    "httpx": "collect",
    "icrawler": "collect",
    "protego": "collect",
    "requests": "collect",
}

__all__ = [
    "Bundle",
    "Dataset",
    "FledgedError",
    "Package",
    "Prediction",
    "RangeTest",
    "Report",
    "Review",
    "Run",
    "Snapshot",
    "build",
    "collect",
    "compare",
    "copy",
    "deploy",
    "evaluate",
    "explain",
    "export",
    "find_lr",
    "invoke",
    "load",
    "prepare",
    "reproduce",
    "review",
    "scan",
    "serve",
    "test",
    "train",
    "tune",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'fledged' has no attribute '{name}'")
    with naming_extras():
        return getattr(importlib.import_module(_HOMES[name]), name)


@contextlib.contextmanager
def naming_extras() -> Iterator[None]:
    """Imports in here that fail for want of an extra raise MissingExtra, which says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        from fledged.errors import MissingExtra

        raise MissingExtra(_EXTRAS[package], package) from error


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
