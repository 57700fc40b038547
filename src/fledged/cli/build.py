"""The command that does it all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fledged
from fledged import DEFAULT_WORK as DEFAULT
from fledged.cli.app import (
    Address,
    Apply,
    AsJson,
    Assign,
    Backbone,
    DropClasses,
    Engine,
    Epochs,
    GroupBy,
    KeepSplits,
    Lake,
    Mode,
    Sample,
    Seed,
    Weights,
    Work,
    app,
    at,
    engine_of,
)

if TYPE_CHECKING:
    from fledged.products import Product


@app.command()
def build(
    lake: Lake,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    sample: Sample = None,
    seed: Seed = None,
    group_by: GroupBy = None,
    keep_splits: KeepSplits = None,
    drop_classes: DropClasses = None,
    backbone: Backbone = None,
    weights: Weights = None,
    mode: Mode = None,
    epochs: Epochs = None,
    apply: Apply = None,
    engine: Engine = None,
    address: Address = None,
) -> None:
    """From a folder of photos to a bundle to serve: scan, review, prepare, train, evaluate, export."""
    from fledged import summary
    from fledged.config import overlaid, parse_assignments
    from fledged.pages.words import photos
    from fledged.products import Snapshot

    given: dict[str, dict[str, object]] = {
        "scan": {"sample": sample},
        "prepare": {
            "seed": seed,
            "group_by": group_by,
            "keep_splits": keep_splits,
            "drop_classes": tuple(drop_classes) if drop_classes else None,
        },
        "train": {"seed": seed, "backbone": backbone, "weights": weights, "mode": mode, "epochs": epochs},
        "engine": engine_of(engine, address),
    }
    assigned = parse_assignments(assign or [])
    settings = {name: overlaid(given.get(name, {}), assigned.get(name, {})) for name in given.keys() | assigned.keys()}

    beyond: list[str] = []

    def made(product: Product) -> None:
        if not as_json:
            print(summary.one_line(product), flush=True)
        if isinstance(product, Snapshot) and product.n_beyond_sample:
            beyond.append(f"A first look; without --sample the other {photos(product.n_beyond_sample)} are read too")

    bundle = fledged.build(lake, work=work, apply=apply, made=made, settings=settings)
    if as_json:
        print(bundle.model_dump_json(indent=2))
    else:
        report = bundle.folder.parent.parent / "reports" / bundle.report_id / "report.html"
        print(f"Saved {bundle.folder}\nPage  {report}")
        for line in beyond:
            print(line)
        print(f"Next: fledged predict PHOTO{at(work)}, or: fledged serve{at(work)}")
