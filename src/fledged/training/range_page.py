"""The page of a range test: one HTML file that asks nothing of any network, and runs no script."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from fledged.pages.axes import Axis, axis, log_axis
from fledged.pages.template import environment
from fledged.products import Dataset, RangeTest
from fledged.settings.augmenting import AugmentConfig
from fledged.training.unusual import unusual

PAGE = "range_test.html"

_LIKELIEST = "mobilenet_v2"  # which `auto` takes where it can
_FLAGS = {"batch_size": "--batch-size", "views": "--views", "seed": "--seed"}
_ROOM = 1.15  # above the first loss, so that running away is seen as such


@dataclass(frozen=True, slots=True)
class Plot:
    """The losses by rate, as SVG points in a square of 100."""

    across: Axis
    up: Axis
    dots: tuple[tuple[float, float], ...]
    line: str


def render(made: RangeTest, dataset: Dataset) -> str:
    """The whole page; the same range test gives the same bytes."""
    pages = environment(Path(__file__).parent)
    pages.filters |= {"rate": rate}
    return pages.get_template("range_test.html.jinja").render(
        made=made,
        plot=plot_of(made),
        command=train_command(made, dataset),
        n_train=dataset.n_in("train"),
        rows=list(zip(made.rates, made.losses, made.smoothed, strict=True)),
    )


def plot_of(made: RangeTest) -> Plot:
    """What is drawn; losses above the frame lie on its edge."""
    across = (axis if made.tried.growth == "linear" else log_axis)(made.rates[0], made.rates[-1])
    up = axis(min(made.losses), max(made.smoothed[0], made.losses[0]) * _ROOM)
    place = [(across.at(x), y) for x, y in zip(made.rates, made.losses, strict=True)]
    line = zip(made.rates, made.smoothed, strict=True)
    return Plot(
        across=across,
        up=up,
        dots=tuple((x, round(100 - up.at(y), 3)) for x, y in place),
        line=" ".join(f"{across.at(x)},{round(100 - up.at(y), 3)}" for x, y in line),
    )


def train_command(made: RangeTest, dataset: Dataset) -> str:
    """The next step, with the settings that the rate was found for."""
    settings = made.settings
    words = ["fledged", "train", "--learning-rate", rate(made.suggested)]
    if settings.backbone != _LIKELIEST or settings.weights:
        words += ["--backbone", settings.backbone]
    if settings.weights:
        words += ["--weights", settings.weights]
    if settings.unfreeze > 0:
        words += ["--unfreeze", str(settings.unfreeze)]
    elif settings.mode != "transfer":
        words += ["--mode", settings.mode]
    if settings.start:
        words += ["--set", f"train.start={settings.start}"]
    for name, value, _ in unusual(settings, dataset):
        if name in _FLAGS:
            words += [_FLAGS[name], value]
        elif name == "augment":
            words += ["--set", _augment(settings.augment)]
        elif name not in ("learning_rate", "epochs"):
            words += ["--set", f"train.{name}={value}"]
    return shlex.join(words)


def _augment(augment: AugmentConfig) -> str:
    if augment.preset != "own":
        return f"train.augment={augment.preset}"
    # A table of TOML in a line is one of JSON with other signs between names and values.
    steps = [step.model_dump(mode="json") for step in augment.steps]
    tables = ("{" + ", ".join(f"{name} = {json.dumps(value)}" for name, value in step.items()) + "}" for step in steps)
    return f"train.augment.steps=[{', '.join(tables)}]"


def rate(value: float) -> str:
    """Two digits: 0.0025, 4.2e-06."""
    return f"{value:.2g}"
