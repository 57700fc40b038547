"""The whole chain, one call a line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import fledged
from fledged import progress
from fledged.config import SECTIONS, resolve
from fledged.engine import engine_of
from fledged.errors import ConfigError, suggestion
from fledged.networks.weights import locate
from fledged.preparing.members import too_few_classes
from fledged.products import Bundle, Product
from fledged.scanning.scan import scan
from fledged.settings.training import TrainConfig
from fledged.workspace import DEFAULT, Workspace

Settings = Mapping[str, Mapping[str, object]]


def _ignore(product: Product) -> None:
    """Tells nobody."""


def build(
    lake: str | os.PathLike[str],
    *,
    work: str | os.PathLike[str] = DEFAULT,
    apply: Literal["advice"] | None = None,
    report: progress.Report | None = None,
    made: Callable[[Product], None] = _ignore,
    settings: Settings | None = None,
) -> Bundle:
    """From a folder of photos to a bundle that can be served; what is there already is not made again.

    `settings` are those of each verb and of the engine, such as {"train": {"epochs": 30}}. `made` is told of each
    product.
    With `apply="advice"`, photos are dropped and relabelled as the review advises, where no person has decided.
    """
    of = _checked(settings or {})
    on = of["engine"]
    engine_of(on)
    with ThreadPoolExecutor(1) as background:
        # torch and what stands on it take seconds to import: meanwhile the scan's processes read photos.
        rooms = background.submit(_import_rooms)
        made(snapshot := scan(lake, work=work, report=report, engine=on, **of["scan"]))
        rooms.result()
    if len(snapshot.labels) < 2 and not Workspace(work).decisions.exists():  # which may give photos other labels
        raise too_few_classes(list(snapshot.labels), snapshot.labels)
    eyes = of["train"]
    made(
        findings := fledged.review(
            snapshot, apply=apply, work=work, report=report, train=eyes, engine=on, **of["review"]
        )
    )
    made(dataset := fledged.prepare(snapshot, findings, work=work, report=report, engine=on, **of["prepare"]))
    made(run := fledged.train(dataset, work=work, report=report, engine=on, **of["train"]))
    made(fledged.evaluate(run, work=work, report=report, engine=on, **of["evaluate"]))
    made(bundle := fledged.export(run, work=work, report=report, **of["export"]))
    return bundle


def _import_rooms() -> None:
    for verb in ("review", "prepare", "train", "evaluate", "export"):
        getattr(fledged, verb)


def _checked(settings: Settings) -> dict[str, dict[str, Any]]:
    """The settings of every verb, all of them judged before the first begins: a slip must not cost an hour."""
    for section in settings:
        if section not in SECTIONS:
            raise ConfigError(f"There is no section `{section}`", remedy=suggestion(section, SECTIONS))
    for section, config in SECTIONS.items():
        resolve(config, settings.get(section, {}))
    checked = {section: dict(settings.get(section, {})) for section in SECTIONS}
    # Weights are looked for once, and before the hours: the review and the training then use the same.
    checked["train"]["backbone"] = locate(resolve(TrainConfig, checked["train"])).backbone
    return checked
