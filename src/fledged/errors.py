"""What can go wrong, drawn as a tree. Every error says what, where and how to mend it.

FledgedError
├── LakeError        the folder of photos cannot be used as it is
├── ProductError     a product is missing, altered or too new
├── WorkspaceError   the working folder cannot be read or written, or another process holds it
├── ConfigError      a setting or flag is unknown or out of range
├── EngineError      a cluster cannot be reached, or is not fit for the work
├── MissingExtra     an optional part of fledged is not installed
├── WeightsError     weights cannot be found, fetched or fitted to the backbone
├── TrainingError    training diverged or ran out of memory
├── ParityError      an export does not answer as the run that it came from
├── GateError        a model is not as good as was asked for
├── DeployError      AWS refuses, or holds something else than was sent
└── RequestError     a photo or an HTTP request that cannot be answered

Misuse by a programmer stays TypeError or ValueError. A bad photo in a lake is a row with a reason, not an error.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterator, Mapping


class FledgedError(Exception):
    """One line: what is wrong, where, and how to mend it."""

    is_told = False  # by another process, which this one trains with: the words are that one's to print

    def __init__(self, what: str, *, where: object = None, remedy: str = "") -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        return shown(" ".join(f"{self.fact} {self.remedy}".split()))

    @property
    def fact(self) -> str:
        """What is wrong, and where: for a line about something that goes on without it."""
        place = f" ({self.where})" if self.where else ""
        sentence = f"{self.what}{place}".rstrip(".")
        sentence += "" if sentence.endswith("?") else "."
        # A path may hold a newline; the promise is one line.
        return " ".join(sentence.split())


def shown(text: str) -> str:
    """The text with all that a terminal would obey spelled out: names of files and classes may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def rebuilt(parts: Mapping[str, str | None]) -> FledgedError:
    """An error of another process, from its `kind` (a name in here), `what`, `where` and `remedy`; it is told there."""
    kind = globals().get(str(parts["kind"]))
    error = FledgedError.__new__(kind if isinstance(kind, type) and issubclass(kind, FledgedError) else TrainingError)
    # Some kinds are made of other words than these.
    FledgedError.__init__(error, str(parts["what"]), where=parts["where"], remedy=str(parts["remedy"]))
    return error


class LakeError(FledgedError):
    """The folder of photos cannot be used as it is."""


class ProductError(FledgedError):
    """A product is missing, altered or too new."""


class WorkspaceError(FledgedError):
    """The working folder cannot be read or written, or another process holds it."""


class ConfigError(FledgedError):
    """A setting or flag is unknown or out of range."""


class EngineError(FledgedError):
    """A cluster cannot be reached, or is not fit for the work."""


class MissingExtra(FledgedError):
    """An optional part of fledged is not installed."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f"This needs the package {package}, which is not installed",
            remedy=f"Install it with: pip install 'fledged[{extra}]'",
        )


class WeightsError(FledgedError):
    """Weights cannot be found, fetched or fitted to the backbone."""


class TrainingError(FledgedError):
    """Training diverged or ran out of memory."""


class ParityError(FledgedError):
    """An export does not answer as the run that it came from."""


class GateError(FledgedError):
    """A model is not as good as was asked for."""


class DeployError(FledgedError):
    """AWS refuses, or holds something else than was sent."""


class RequestError(FledgedError):
    """A photo or an HTTP request that cannot be answered; `status` is the HTTP status code."""

    def __init__(self, what: str, *, status: int, where: object = None, remedy: str = "") -> None:
        self.status = status
        super().__init__(what, where=where, remedy=remedy)


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let an OSError of what happens inside say which file it is about: those of reading, and Polars', do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.strerror = error.strerror or str(error)  # which a name would hide, where there is no number
            error.filename = os.fspath(path)
        raise


def suggestion(name: str, known: Mapping[str, object]) -> str:
    """Words that name the nearest known names."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(sorted(known))}."
