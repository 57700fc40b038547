"""A photo that is gone is no answer; one that the disk does not give for a moment ends the command."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from fledged import reading
from fledged.images import BadPhoto
from fledged.measuring.photos import Photo, read

DATA = b"the bytes of a photo"


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    """As it was scanned."""
    (tmp_path / "a.jpg").write_bytes(DATA)
    return Photo("a.jpg", str(tmp_path / "a.jpg"), 0, hashlib.sha256(DATA).hexdigest())


def no_disk(*_: object) -> bytes:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_what_was_readable_is_no_bad_photo_where_the_disk_fails(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(photo) == DATA
    monkeypatch.setattr(reading, "read", no_disk)
    with pytest.raises(OSError, match="Input/output error") as raised:
        read(photo)
    assert raised.value.filename == photo.file


def test_what_could_never_be_read_is_a_bad_photo(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "read", no_disk)
    with pytest.raises(BadPhoto, match="cannot be read: Input/output error"):
        read(Photo(photo.path, photo.file, 0, ""))


def test_what_is_gone_or_another_photo_is_a_bad_photo(photo: Photo, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(DATA[::-1])
    with pytest.raises(BadPhoto, match="changed"):
        read(photo)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(BadPhoto, match="vanished"):
        read(photo)
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(BadPhoto, match="cannot be read: not a regular file"):
        read(photo)
