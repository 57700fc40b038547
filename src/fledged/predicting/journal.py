"""Answers of a run that may be killed, line by line beside the file that they are for; the next run goes on there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from fledged.errors import ConfigError
from fledged.predicting.answers import Answer, json_line, printable
from fledged.predicting.asked import Asked
from fledged.predicting.many import BATCH
from fledged.products import Failure, Prediction
from fledged.writing import disk_errors

_BEGINS = b'{"answers of": '
_FLUSH_EVERY = 256  # answers: what a kill costs


def journal_of(to: Path) -> Path:
    """Beside the file that the answers go to."""
    return to.with_name(f"{to.name}.unfinished")


def answered(
    path: Path, identity: str, asked: Iterable[Asked], answer: Callable[[Iterator[Asked]], Iterator[Answer]]
) -> Iterator[Answer]:
    """The answers to all that is asked, in order: those of the journal first, then `answer`'s to the rest.

    `identity` is what they depend on beside the photos. A journal of another one is begun anew; one of other photos
    counts as far as their names are the same. Raises WorkspaceError where it cannot be written, and ConfigError where
    another file has its name.
    """
    head = json.dumps({"answers of": identity}).encode() + b"\n"
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    with file:
        file.seek(0)
        if (found := file.readline()) != head:
            if not (found.startswith(_BEGINS) or _BEGINS.startswith(found)):
                remedy = "Move it elsewhere, or name another file with --to."
                raise ConfigError("This file keeps no answers, and would be written over", where=path, remedy=remedy)
            with disk_errors(path):
                file.truncate(0)
                file.write(head)
                file.flush()
        rest = yield from _kept(file, iter(asked))
        for n, (name, said) in enumerate(answer(rest), start=1):
            with disk_errors(path):
                file.write(json_line((name, said)).encode())
                if n % _FLUSH_EVERY == 0:
                    file.flush()
            yield name, said


def _kept(file: BinaryIO, photos: Iterator[Asked]) -> Generator[Answer, None, Iterator[Asked]]:
    """The answers that are there; what is left to ask.

    Whole batches only: what goes through the model together is then what it is in one run, to the last bit.
    """
    while True:
        start = file.tell()
        batch = list(itertools.islice(photos, BATCH))
        answers = [_answer(file.readline(), name) for name, _ in batch]
        said = [answer for answer in answers if answer is not None]
        if not batch or len(said) < len(batch):
            file.truncate(start)
            file.seek(start)
            return itertools.chain(batch, photos)
        yield from ((name, answer) for (name, _), answer in zip(batch, said, strict=True))


def _answer(line: bytes, name: str) -> Prediction | Failure | None:
    """What a line says of this photo; None where it was cut off, or is of another one."""
    try:
        told = json.loads(line)
        if not line.endswith(b"\n") or told.pop("file") != printable(name):
            return None
        return Failure.model_validate(told) if "error" in told else Prediction.model_validate(told)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
