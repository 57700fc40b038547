"""`fledged predict`: photos from anywhere, answers to anywhere."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import fledged
from fledged import DEFAULT_WORK as DEFAULT
from fledged import naming_extras
from fledged.cli.app import Address, AsJson, Assign, Engine, Work, app, engine_of, settings_of
from fledged.errors import ConfigError, RequestError, shown

if TYPE_CHECKING:
    from fledged.engine import Engine as On
    from fledged.predicting.answers import Answer
    from fledged.predicting.asked import Asked, Asking

_REFUSED = 1  # with --strict
_NOTHING = 2


@app.command()
def predict(
    photos: Annotated[
        list[str] | None,
        typer.Argument(help="Photos, folders of photos, 'quoted/**/*.jpg', addresses; - reads a photo from stdin."),
    ] = None,
    listed: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE", help="A list of paths, or a table (.csv, .tsv, .parquet); - is stdin."),
    ] = None,
    column: Annotated[str | None, typer.Option(help="Of the table: the column with the paths.")] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write answers there: .csv, .jsonl, .json or .parquet.")
    ] = None,
    bundle: Annotated[str | None, typer.Option(help="A bundle's id or folder; the newest without.")] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to name for each photo.")] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="With --to: keep answers as they come, and go on where a run was killed.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where any photo could not be read.")] = False,
    assign: Assign = None,
    engine: Engine = None,
    address: Address = None,
) -> None:
    """Say what is on photos. Needs no torch. Exits with 0 if any photo was answered; those that cannot be are rows."""
    from fledged import progress
    from fledged.engine import engine_of as find_engine
    from fledged.predicting import answers
    from fledged.predicting.many import answer_many

    if to is not None:
        answers.check_suffix(to)
        if listed is not None and to.resolve() == Path(listed).resolve():
            raise ConfigError("This file is read and cannot be written as well", where=to, remedy="Take another.")
    if resume and (to is None or "-" in (photos or [])):
        remedy = "Name one with --to." if to is None else "Give the photo as a file."
        raise ConfigError("There is no file to go on with", where="--resume", remedy=remedy)
    on = find_engine(engine_of(engine, address))
    asked = _asked(photos or [], listed, column, settings_of("collect", assign))
    if not asked:
        raise RequestError("There is no photo", status=404, remedy="Name photos, folders, or a list with --from.")
    predictor = fledged.load(bundle, work=work, threads=1)  # a batch a core: see answer_many
    top_k = min(top_k, len(predictor.bundle.classes))
    aligned = to is None and sys.stdout.isatty()
    report = progress.silent if aligned else progress.default()  # the lines themselves show how far it is
    counts: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")  # what is odd about a photo that can be read
        report("Predicting", 0, len(asked))
        answer = partial(answer_many, predictor, top_k=top_k, on=_seeing(on, asked))
        kept = (
            _kept(to, f"bundle {predictor.bundle.id}, top {top_k}", asked, answer) if to and resume else answer(asked)
        )
        said = progress.track(kept, "Predicting", len(asked), report)
        if to is not None:
            _write(to, _counted(said, counts), top_k)
            if resume:
                _journal_of(to).unlink(missing_ok=True)
        else:
            for one in _counted(said, counts):
                line = answers.json_line(one) if as_json else answers.text_line(one, aligned=aligned) + "\n"
                print(line, end="", flush=True)
    _sum_up(counts, len(asked), to, as_json)
    unread = counts[_UNREAD]
    if unread and (strict or unread == len(asked)):
        raise typer.Exit(_NOTHING if unread == len(asked) else _REFUSED)


def _seeing(on: On, asked: Asking) -> On:
    """The engine, told which folder its machines must see."""
    if on.is_here:
        return on
    from fledged.predicting.elsewhere import files_among, folder_of

    return replace(on, sees=folder_of(files_among(read for _, read in asked)))


_UNREAD = ""  # no class has an empty name


def _asked(names: Sequence[str], listed: str | None, column: str | None, settings: dict[str, object]) -> Asking:
    from fledged.predicting import asked

    if column and not listed:
        raise ConfigError("There is no table", where="--column", remedy="Name one with --from.")
    if [*names, listed].count(asked.STDIN) > 1:
        raise ConfigError("Stdin can be read once only", where=asked.STDIN, remedy="Give - once.")
    fetch = _fetcher(settings) if any(map(asked.is_address, names)) else _no_fetch
    given = asked.photos_named(names, sys.stdin.buffer.read, fetch)
    lists = [asked.photos_listed(listed, column, sys.stdin.buffer.read)] if listed else []
    return asked.Asking([*given.parts, *lists])


def _fetcher(settings: dict[str, object]) -> Callable[[str], bytes]:
    """What gets the bytes behind an address that the user typed, with the guards and limits of `collect`."""
    with naming_extras():
        from fledged.collecting.fetch import Client
        from fledged.collecting.offers import Refusal
    from fledged.config import resolve
    from fledged.settings.lake import CollectConfig

    # robots.txt is for those who follow links, and not for a person who names one photo.
    config = resolve(CollectConfig, {"respect_robots": False} | settings)

    async def fetched(address: str) -> bytes:
        async with Client(config) as client:
            return (await client.fetch(address)).data

    def fetch(address: str) -> bytes:
        try:
            return asyncio.run(fetched(address))
        except Refusal as why:
            raise RequestError(f"Cannot be fetched: {why}", status=502, remedy="Check the address.") from why

    return fetch


def _no_fetch(address: str) -> bytes:
    raise AssertionError(address)


def _kept(
    to: Path, identity: str, asked: Asking, answer: Callable[[Iterable[Asked]], Iterator[Answer]]
) -> Iterator[Answer]:
    from fledged.predicting import journal

    return journal.answered(_journal_of(to), identity, asked, answer)


def _journal_of(to: Path) -> Path:
    from fledged.predicting import journal

    return journal.journal_of(to)


def _write(to: Path, said: Iterable[Answer], top_k: int) -> None:
    from fledged import writing
    from fledged.predicting import answers

    writing.write(to, lambda file: answers.fill(file, to.suffix, said, top_k))


def _counted(said: Iterable[Answer], counts: Counter[str]) -> Iterator[Answer]:
    """The same answers, counted by what they say."""
    from fledged.products import Failure

    for name, answer in said:
        key = _UNREAD if isinstance(answer, Failure) else answer.label if answer.accepted else "unknown"
        counts[key] += 1
        yield name, answer


def _sum_up(counts: Counter[str], n_asked: int, to: Path | None, as_json: bool) -> None:
    unread = counts[_UNREAD]
    refused = f"; {unread:,} could not be read, and the rows say why" if unread else ""
    if to is not None and not as_json:
        said = [f"{shown(label)} {n:,}" for label, n in counts.most_common() if label != _UNREAD]
        more = f", and {len(said) - 8} more classes" if len(said) > 8 else ""
        print(f"Answered {n_asked - unread:,} of {n_asked:,} photos{refused}: {', '.join(said[:8]) or 'none'}{more}")
        print(f"Saved {to}")
    elif to is not None:
        import json

        print(json.dumps({"n_photos": n_asked, "n_unread": unread, "saved": str(to)}))
    elif unread:
        print(f"{unread:,} of {n_asked:,} photos could not be read", file=sys.stderr)
