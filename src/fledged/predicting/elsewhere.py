"""Photos answered by other processes and machines: what travels there, and what is done there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from fledged.errors import RequestError
from fledged.images import UInt8Array
from fledged.places import is_remote
from fledged.predicting.files import read
from fledged.predicting.many import Read
from fledged.predicting.predictor import Predictor, session_of
from fledged.products import Bundle, Failure, Prediction, Preprocess
from fledged.reading import Spot

CRASHED = Failure(error="Its decoder crashed", remedy="Send a copy saved anew with an image editor.")


@dataclass(frozen=True, slots=True)
class Answering:
    """The job that answers photos with a bundle, which is sent along: other machines need not have its folder."""

    bundle: Bundle
    model: bytes
    decode: Callable[[bytes, Preprocess], UInt8Array]
    top_k: int

    def open(self) -> Callable[[Sequence[Read]], Sequence[Prediction | Failure]]:
        """A predictor of its own, on one thread."""
        predictor = Predictor(self.bundle, session_of(self.bundle, self.model, 1), self.decode)
        return partial(predictor.predict_batch, top_k=self.top_k)

    def enter(self) -> None:
        """Nothing to do."""


def portable(photo: Read) -> Read:
    """The same bytes, for another process: a file by its full path or address; anything else is read here and now."""
    if isinstance(photo, partial) and photo.func is read:
        spot = _spot(photo)
        # Links stay as they are.
        return partial(read, spot if is_remote(spot.place) else Path(os.path.abspath(spot.place)))  # noqa: PTH100
    try:
        return partial(bytes, photo())
    except RequestError as refusal:
        return partial(_refuse, refusal.what, refusal.status, refusal.remedy)


def folder_of(paths: Sequence[str | os.PathLike[str]]) -> str:
    """The deepest folder that all of these lie in, if it is there and says anything: not the root."""
    try:
        folder = Path(os.path.commonpath([os.path.abspath(path) for path in paths]))  # noqa: PTH100 - as above
    except ValueError:  # no paths
        return ""
    folder = folder if folder.is_dir() else folder.parent
    return str(folder) if folder.is_dir() and folder != Path(folder.anchor) else ""


def files_among(reads: Iterable[Read]) -> list[str]:
    """Those of them that are files of a disk."""
    spots = (_spot(photo) for photo in reads if isinstance(photo, partial) and photo.func is read)
    return [spot.place for spot in spots if not is_remote(spot.place)]


def _spot(photo: partial[bytes]) -> Spot:
    file = photo.args[0]
    return file if isinstance(file, Spot) else Spot(os.fspath(file))


def _refuse(what: str, status: int, remedy: str) -> NoReturn:
    raise RequestError(what, status=status, remedy=remedy)
