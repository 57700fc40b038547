"""Files, opened to be read without waiting: a pipe, a device or a folder in the place of one is an error."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader


class NotRegular(OSError):
    """A pipe, a device or a folder lies where a file was."""


def opened(place: str | os.PathLike[str]) -> BufferedReader:
    """A regular file, at its beginning. Raises OSError."""
    # A pipe that took the file's place must not be waited for.
    descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(place))
        if not stat.S_ISREG(mode):
            raise NotRegular(errno.EINVAL, "not a regular file", os.fspath(place))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read(place: str | os.PathLike[str]) -> bytes:
    """All of it. Raises OSError."""
    with opened(place) as file:
        return file.read()
