"""What bad disks do to files."""

from __future__ import annotations

from pathlib import Path


def flip_a_bit(path: Path) -> None:
    """One in the middle of the file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)
