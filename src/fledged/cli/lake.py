"""Commands on photos: gather, look, review, split, hand on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import fledged
from fledged import DEFAULT_WORK as DEFAULT
from fledged.cli.app import (
    Address,
    Apply,
    AsJson,
    Assign,
    Backbone,
    DatasetId,
    DropClasses,
    Engine,
    GroupBy,
    KeepSplits,
    Lake,
    Sample,
    Seed,
    Weights,
    Work,
    app,
    at,
    engine_of,
    settings_of,
    tell,
)

Shares = Annotated[str | None, typer.Option("--split", metavar="A,B,C", help="Shares of train, val and test.")]
Fold = Annotated[str | None, typer.Option(metavar="I/K", help="The I-th of K folds is test, the next one val.")]


@app.command()
def collect(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A plan (.toml), an archive, a CSV table, Parquet files, a list of addresses, a folder.",
        ),
    ],
    lake: Annotated[Path, typer.Argument(metavar="PHOTOS", help="The folder to fill, one folder a class.")],
    label: Annotated[str | None, typer.Option(metavar="CLASS", help="All that SOURCE holds is of this class.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again also for what was refused for good, or removed since.")
    ] = False,
    as_json: AsJson = False,
    assign: Assign = None,
) -> None:
    """Gather photos from addresses, search engines, archives, tables or folders, with where each came from."""
    from fledged import summary

    settings = settings_of("collect", assign)
    collected = fledged.collect(source, lake, label=label, retry_failed=retry_failed, **settings)
    lines = [collected.model_dump_json(indent=2)] if as_json else summary.collected_lines(collected)
    print("\n".join(lines))


@app.command()
def scan(
    lake: Lake,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    sample: Sample = None,
    engine: Engine = None,
    address: Address = None,
) -> None:
    """Look at every file once: a Snapshot of the folder."""
    settings = settings_of("scan", assign, sample=sample)
    tell(fledged.scan(lake, work=work, engine=engine_of(engine, address), **settings), work, as_json)


@app.command()
def review(
    snapshot: Annotated[str | None, typer.Argument(help="A snapshot's id; the newest without.")] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    backbone: Backbone = None,
    weights: Weights = None,
    apply: Apply = None,
    open_page: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open",
            help="A page to decide on, until Ctrl-C. Without either it opens in a terminal, unless --apply or --json.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes a free one.")] = 0,
    reviewer: Annotated[str | None, typer.Option(help="Who decides, for the log; the login name without.")] = None,
    drop_cluster: Annotated[
        list[str] | None,
        typer.Option("--drop-cluster", metavar="CLUSTER", help="Advise dropping a cluster of the overview: size:4."),
    ] = None,
    engine: Engine = None,
    address: Address = None,
) -> None:
    """Find what is wrong with the photos, and decide about it on a page: a Review."""
    settings = settings_of("review", assign, drop_clusters=tuple(drop_cluster) if drop_cluster else None)
    eyes = {"backbone": backbone, "weights": weights}
    on = engine_of(engine, address)
    made = fledged.review(snapshot, apply=apply, work=work, train=eyes, engine=on, **settings)
    if open_page is None:
        open_page = sys.stdout.isatty() and not (apply or as_json)
    if open_page:
        from fledged import summary
        from fledged.reviewing.desk import open_browser, open_desk

        def ready(url: str) -> None:
            told = [summary.one_line(made), f"Reviewing {url}"]
            told.append("Ctrl-C when you are done; decisions are saved as you make them. Next: fledged prepare")
            print("\n".join(told) + at(work), file=sys.stderr if as_json else sys.stdout, flush=True)
            open_browser(url)

        open_desk(made, work=work, reviewer=reviewer, port=port, on_ready=ready)
        made = fledged.review(made.snapshot_id, work=work, train=eyes, engine=on, **settings)
    tell(made, work, as_json)


@app.command()
def prepare(
    review: Annotated[str | None, typer.Argument(help="A review's id; the newest without.")] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    seed: Seed = None,
    split: Shares = None,
    fold: Fold = None,
    group_by: GroupBy = None,
    keep_splits: KeepSplits = None,
    drop_classes: DropClasses = None,
    measure_leak: Annotated[
        bool, typer.Option("--measure-leak", help="Find out what a random split would have claimed.")
    ] = False,
    engine: Engine = None,
    address: Address = None,
) -> None:
    """Split the photos without leaks and shrink them: a Dataset."""
    settings = settings_of(
        "prepare",
        assign,
        seed=seed,
        split=tuple(split.split(",")) if split else None,
        fold=fold,
        group_by=group_by,
        keep_splits=keep_splits,
        drop_classes=tuple(drop_classes) if drop_classes else None,
    )
    on = engine_of(engine, address)
    tell(fledged.prepare(None, review, work=work, measure_leak=measure_leak, engine=on, **settings), work, as_json)


@app.command()
def copy(
    to: Annotated[Path, typer.Argument(help="A new folder; for csv a new file.")],
    dataset: DatasetId = None,
    work: Work = DEFAULT,
    format: Annotated[
        str, typer.Option(help="imagefolder (original files), csv (a list of them) or parquet (shrunk).")
    ] = "imagefolder",
) -> None:
    """Write a dataset for other tools: its photos in folders, a CSV manifest, or Parquet."""
    from fledged import summary

    copied = fledged.copy(dataset, to, format=format, work=work)  # type: ignore[arg-type]
    left_out = f"; left out {summary.counted(copied.left_out)}" if copied.left_out else ""
    print(f"Copied {copied.n_photos:,} photos as {copied.format} to {copied.to}{left_out}")
    if n := copied.n_with_place:
        say = "says where it was" if n == 1 else "say where they were"
        print(f"{n:,} of these files {say} taken; the shrunk copies of --format parquet do not")
