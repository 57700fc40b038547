"""Only files are read: nobody waits for a pipe, and no device fills the memory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fledged import regular


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipes_devices_and_folders_are_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("pipe", "device"):
        with pytest.raises(regular.NotRegular) as told:
            regular.read(tmp_path / name)
        assert told.value.filename == str(tmp_path / name)
    with pytest.raises(IsADirectoryError) as folder:
        regular.read(tmp_path)
    assert folder.value.errno == errno.EISDIR


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"all of it")
    (tmp_path / "link").symlink_to("file")
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    assert regular.read(tmp_path / "link") == b"all of it"
    with pytest.raises(FileNotFoundError):
        regular.read(tmp_path / "none")
    assert not before or len(os.listdir("/proc/self/fd")) == before
