"""Commands that show what a model makes of single photos: explain, test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import fledged
from fledged import DEFAULT_WORK as DEFAULT
from fledged.cli.app import AsJson, Assign, Work, app, settings_of

Model = Annotated[
    str | None, typer.Option(metavar="RUN|BUNDLE", help="run:ID, bundle:ID or a bundle's folder; else the newest run.")
]


@app.command()
def explain(
    photos: Annotated[list[Path], typer.Argument(help="Photos, and folders of photos.")],
    model: Model = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
) -> None:
    """Show where in photos the network finds what speaks for its answers: heatmaps at several depths."""
    done = fledged.explain(photos, model, work=work, **settings_of("explain", assign))
    print(done.model_dump_json(indent=2) if as_json else "\n".join(done.lines()))
    if all(photo.error for photo in done.photos):
        raise typer.Exit(2)


@app.command()
def test(
    folder: Annotated[Path, typer.Argument(help="A folder of photos that nobody has labelled.")],
    model: Model = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
) -> None:
    """Show what the model says of unlabelled photos: a grid of them as a picture, and a page."""
    done = fledged.test(folder, model, work=work, **settings_of("test", assign))
    print(done.model_dump_json(indent=2) if as_json else "\n".join(done.lines()))
