"""What a source offers: photos at hand, links to photos, and what is neither, with the reason.

    source -> Photo | Link | Refused, one after the other -> the lake

A refusal is a row of a table, never an exception that ends the collecting.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fledged.products import SPLIT_FOLDERS, Split

HIDDEN = "hidden, or written by a system"

# The longest file name of common disks, in bytes, less room for a temporary name.
_MAX_LABEL_BYTES = 200


class Refusal(Exception):
    """Something that is offered and not taken: a short reason that can be counted, and details of this case.

    With `again` it may pass, and the next run tries again. With `by_setting` another setting would take it, so it is
    not remembered either. All else is remembered, and not tried again.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        again: bool = False,
        by_setting: bool = False,
        after_s: float | None = None,
    ) -> None:
        self.reason = reason
        self.detail = detail
        self.again = again
        self.by_setting = by_setting
        self.after_s = after_s  # the server said when to ask again
        super().__init__(f"{reason}: {detail}" if detail else reason)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo whose bytes are at hand."""

    name: str  # as the source calls it
    label: str
    read: Callable[[], bytes]  # raises Refusal
    split: Split | None = None
    group: str | None = None
    origin: str | None = None  # the archive, table or folder that holds it
    key: str | None = None  # under which the outcome is remembered; None: the bytes are read each time
    answered: str | None = None  # by a model, of a photo whose label is what somebody said to that


@dataclass(frozen=True, slots=True)
class Link:
    """The address of a photo."""

    url: str
    label: str
    split: Split | None = None
    group: str | None = None
    query: str | None = None
    engine: str | None = None  # the search engine, list or table that named it


@dataclass(frozen=True, slots=True)
class Refused:
    """A row of the table of what is not in the lake."""

    what: str  # URL, file or line
    label: str | None
    reason: str
    detail: str = ""
    again: bool = False  # tried again by the next run


Offer = Photo | Link | Refused


@dataclass(frozen=True, slots=True)
class Offers:
    """What a source offers, in its order."""

    total: int  # how many there will be, as far as is known
    items: Iterable[Offer]


def refused(what: str, label: str | None, why: Refusal) -> Refused:
    """A refusal as a row."""
    return Refused(what, label, why.reason, why.detail, why.again)


def printable(name: str) -> str:
    """A name that may not be UTF-8, as text that can be written."""
    return name.encode("utf-8", "backslashreplace").decode()


def clean_label(text: str) -> str:
    """A class name that can be a folder, in one Unicode form. Raises Refusal."""
    # macOS writes names decomposed, others composed: without this, one class becomes two that look the same.
    label = unicodedata.normalize("NFC", text).strip()
    if not label:
        raise Refusal("no class", "it is in no class folder and no class was given")
    try:
        n_bytes = len(label.encode())
    except UnicodeEncodeError as error:
        raise Refusal("not a class name", "it is not UTF-8") from error
    if label.startswith(".") or "/" in label or "\\" in label or n_bytes > _MAX_LABEL_BYTES or not label.isprintable():
        raise Refusal("not a class name", repr(label[:60]))
    return label


def clean_split(text: str) -> Split | None:
    """The split that people call so; None if there is none of that name."""
    return SPLIT_FOLDERS.get(text.strip().lower())
