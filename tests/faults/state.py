"""The page that the shim reads its orders from, and writes what it saw to."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

OPEN_TO_WRITE, WRITE, SYNC, NAMES, OPEN_TO_READ, READ = (1 << bit for bit in range(6))
MODES = {"count": 0, "kill": 1, "tear and kill": 2, "fail once": 3, "fail on": 4, "tear and fail": 5}

# As `struct state` of shim.c.
N_KNOWN = 32768
_LAYOUT = struct.Struct(f"@iiiill1024s1024s1024sllli{N_KNOWN}s")


class State:
    """A view of the shared page."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _LAYOUT.size)

    def order(self, root: Path, mode: str, kinds: int, nth: int, error: int = 0, trace: Path | None = None) -> None:
        """What the next child meets, once it is armed; `trace` is a folder for notes of all that it does."""
        text, notes = str(root).encode(), str(trace or "").encode()
        self._page[:] = _LAYOUT.pack(0, MODES[mode], error, kinds, nth, 0, text, b"", notes, 0, 0, 0, 0, b"")

    def arm(self) -> None:
        """From now on operations are counted."""
        self._page[:4] = struct.pack("@i", 1)

    def disarm(self) -> None:
        """Operations pass."""
        self._page[:4] = struct.pack("@i", 0)

    @property
    def count(self) -> int:
        """How many operations of the asked kinds there were."""
        return int(_LAYOUT.unpack(self._page[:])[5])

    @property
    def hit_at(self) -> int:
        """Which of the operations of all kinds that was, from 1 on; 0 if there were not that many."""
        return int(_LAYOUT.unpack(self._page[:])[11])

    @property
    def kinds_after(self) -> int:
        """The kinds of the operations that came after it."""
        return int(_LAYOUT.unpack(self._page[:])[12])

    @property
    def sequence(self) -> bytes:
        """The kind of each operation, of all kinds."""
        fields = _LAYOUT.unpack(self._page[:])
        assert fields[10] <= N_KNOWN, "there are more operations than the page has room for"
        sequence: bytes = fields[13][: fields[10]]
        return sequence

    @property
    def hit(self) -> str:
        """The operation that was ended or failed; "" if there were not that many."""
        text: bytes = _LAYOUT.unpack(self._page[:])[7]
        return text.rstrip(b"\0").decode(errors="replace")
