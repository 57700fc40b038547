"""Photos out of zip and tar archives, without trusting a byte of them.

No name out of an archive ever becomes a file name, links and devices are not followed, and what unpacks to too much is
stopped: in files, in bytes, in one file, and in bytes against the archive's own size.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from fledged.collecting.members import UNREADABLE, Limits
from fledged.collecting.offers import Offers
from fledged.collecting.tars import is_tar, open_tar
from fledged.collecting.zips import open_zip
from fledged.errors import LakeError


def is_archive(path: Path) -> bool:
    """Whether the content is that of a zip or tar, whatever the name says."""
    return zipfile.is_zipfile(path) or is_tar(path)


def open_archive(path: Path, label: str, limits: Limits) -> Offers:
    """The photos of an archive of one folder per class, or of one class if there is a `label`. Raises LakeError."""
    try:
        return open_zip(path, label, limits) if zipfile.is_zipfile(path) else open_tar(path, label, limits)
    except (NotImplementedError, *UNREADABLE) as error:
        raise LakeError(f"This archive cannot be read: {error}", where=path, remedy="Copy it again.") from error
