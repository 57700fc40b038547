"""Commands that lead to answers: export, serve, deploy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

import fledged
from fledged import DEFAULT_WORK as DEFAULT
from fledged.cli.app import (
    AsJson,
    Assign,
    Work,
    app,
    settings_of,
    tell,
)
from fledged.errors import ConfigError


@app.command()
def export(
    run: Annotated[str | None, typer.Argument(help="A run's id; the newest without.")] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    precision: Annotated[
        Literal["fp32", "int8"] | None, typer.Option(help="int8: a quarter of the size; behind limits of its own.")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="FORMAT", help="torchscript, openvino, executorch or coreml as well; may be repeated."),
    ] = None,
) -> None:
    """Write the run as ONNX with all that serving needs, checked on real photos: a Bundle."""
    made = fledged.export(run, work=work, also=also or (), **settings_of("export", assign, precision=precision))
    tell(made, work, as_json)
    if not as_json:
        from fledged.exporting.also import export_lines

        _say(export_lines(made, work))


@app.command()
def verify(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[BUNDLE] [PHOTOS]...",
            help="A bundle's id or folder, the newest without; photos, and folders of photos, in class folders or not.",
        ),
    ] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Ask whether a bundle is whole and answers here as when it was exported; exit code 1 if not. Needs no torch."""
    from fledged.predicting.verify import verification_lines

    bundle, photos = None, words or []
    # What is there and holds no bundle is a photo, or a folder of photos.
    from fledged.product_files import is_product
    from fledged.products import Bundle

    if photos and (is_product(Bundle, photos[0]) or _is_nowhere(photos[0])):
        bundle, photos = photos[0], photos[1:]
    done = fledged.verify(bundle, photos, work=work)
    _say([done.model_dump_json(indent=2)] if as_json else verification_lines(done))
    if not done.is_same:
        raise typer.Exit(1)


@app.command()
def serve(
    bundle: Annotated[str | None, typer.Argument(help="A bundle's id or folder; the newest without.")] = None,
    work: Work = DEFAULT,
    host: Annotated[str | None, typer.Option(help="Address to listen on; loopback unless given.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free port.")] = None,
    watch: Annotated[bool | None, typer.Option("--watch", help="Take up a newer bundle by itself.")] = None,
    feedback: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Let people say what a photo really shows; both are kept there, for collect."),
    ] = None,
    assign: Assign = None,
) -> None:
    """Answer photos over HTTP, with a page to drop them on. Needs no torch."""

    def ready(url: str) -> None:
        print(f"Serving {url}\nTry it:  curl -F photo=@PHOTO {url.rstrip('/')}/classify\nStop it: Ctrl-C", flush=True)

    flags = {"host": host, "port": port, "watch": watch, "feedback": {"folder": str(feedback)} if feedback else None}
    fledged.serve(bundle, work=work, on_ready=ready, **settings_of("serve", assign, **flags))


@app.command()
def deploy(
    bundle: Annotated[str | None, typer.Argument(help="A bundle's id or folder; the newest without.")] = None,
    to: Annotated[Literal["lambda"], typer.Option(help="lambda: AWS Lambda.")] = "lambda",
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    function: Annotated[
        str | None, typer.Option(metavar="NAME", help="Send it to this function, which the templates made.")
    ] = None,
    bucket: Annotated[str | None, typer.Option(metavar="NAME", help="Send it by way of this S3 bucket.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and send nothing.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go back to the version before.")] = False,
) -> None:
    """Pack a bundle for AWS Lambda, with templates for SAM, osls and containers; send it where a function is named."""
    from fledged.deploying import release

    if function is None and (bucket or rollback):
        raise ConfigError("Name the function with --function", where="--bucket" if bucket else "--rollback")
    if rollback and function:
        _say(release.rollback_changes(function) if dry_run else release.roll_back(function).lines())
        return
    package = fledged.deploy(bundle, to=to, work=work, **settings_of("deploy", assign))
    tell(package, work, as_json)
    if function and dry_run:
        _say(release.changes(package, function, bucket))
    elif function:
        _say(release.release(package, function, bucket).lines())


@app.command()
def invoke(
    address: Annotated[str, typer.Argument(help="Where it was deployed: https://…")],
    photo: Annotated[Path, typer.Argument(help="A photo.")],
    times: Annotated[int, typer.Option(min=1, help="Requests to send, one after the other.")] = 5,
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign them for IAM, with the credentials that boto3 finds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a photo to a deployed model; say its answer, and how long it took."""
    from fledged.deploying.invoke import invoke as ask

    told = ask(address, photo, times=times, sign=sign)
    _say([told.model_dump_json()] if as_json else told.lines())


def _is_nowhere(word: str) -> bool:
    """Whether this is no photo nor folder that is there: an id, then, or an address of a zip."""
    from fledged.places import looks_remote

    return word.endswith(".zip") if looks_remote(word) else not Path(word).exists()


def _say(lines: list[str]) -> None:
    for line in lines:
        print(line)
