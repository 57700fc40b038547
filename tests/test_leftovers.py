"""Half-written files: those of killed processes go, those that somebody is writing stay."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from fledged import leftovers
from fledged.workspace import Workspace
from fledged.writing import write, write_bytes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")


def test_what_nobody_holds_is_removed_and_nothing_else(tmp_path: Path) -> None:
    abandoned = tmp_path / "runs" / "a" / ".model.bin.0123abcd.part"
    others = [tmp_path / "model.part", tmp_path / ".part.bin", tmp_path / "runs" / "a" / "model.bin"]
    for file in (abandoned, *others):
        write_bytes(file, b"half")
    leftovers.remove_abandoned(tmp_path)
    assert not abandoned.exists()
    assert all(file.exists() for file in others)


def test_what_is_being_written_stays_and_is_written_whole(tmp_path: Path) -> None:
    def fill(file: BinaryIO) -> None:
        file.write(b"first half, ")
        leftovers.remove_abandoned(tmp_path)
        file.write(b"second half")

    write(tmp_path / "photo", fill)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("photo", b"first half, second half")]


def test_what_is_removed_before_it_could_be_held_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    flock, asked = fcntl.flock, list[int]()

    def late(file: BinaryIO, how: int) -> None:
        asked.append(how)
        if len(asked) == 1:
            monkeypatch.setattr(fcntl, "flock", flock)
            leftovers.remove_abandoned(tmp_path)
            monkeypatch.setattr(fcntl, "flock", late)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    write_bytes(tmp_path / "photo", b"whole")
    assert len(asked) == 2
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("photo", b"whole")]


def test_a_killed_process_holds_nothing_and_the_next_command_tidies_up(tmp_path: Path) -> None:
    half = tmp_path / ".model.0123abcd.part"
    hold = f"import fcntl, time; f = open({str(half)!r}, 'wb'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True)"
    with subprocess.Popen([sys.executable, "-SEc", f"{hold}; time.sleep(60)"], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with Workspace(tmp_path).lock():
            assert half.exists()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    with Workspace(tmp_path).lock():
        assert not half.exists()
