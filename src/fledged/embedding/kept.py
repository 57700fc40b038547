"""Activations in a folder: arrays in parts, and for each a list of the keys in it, which is written last.

What a crash leaves behind is a part without its list, and computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fledged.writing import bytes_of_file, sha256_of_file, write, write_bytes

Float16Array = npt.NDArray[np.float16]

_KEYS = ".keys"


def keep(keys: list[str], activations: Float16Array, folder: Path) -> None:
    """A part, then its list: the part's sha256 and the keys in it, a line each."""
    name, part = hashlib.sha256("".join(keys).encode()).hexdigest()[:16], io.BytesIO()
    np.save(part, activations, allow_pickle=False)
    write(folder / f"{name}.npy", lambda file: file.write(part.getbuffer()))
    sha256 = hashlib.sha256(part.getbuffer()).hexdigest()
    write_bytes(folder / f"{name}{_KEYS}", "\n".join([sha256, *keys]).encode())


def known(folder: Path) -> dict[str, tuple[Path, int]]:
    """Where the activations of each key lie. A part without its list is one that was never finished."""
    found: dict[str, tuple[Path, int]] = {}
    for listed in sorted(folder.glob(f"*{_KEYS}")):
        path = listed.with_suffix(".npy")
        _, keys = _listed(listed)
        try:
            intact = np.load(path, mmap_mode="r", allow_pickle=False).shape[0] == len(keys)
        except (OSError, ValueError, EOFError):
            intact = False  # a cache that cannot be read costs time, not correctness
        if intact:
            found |= {key: (path, row) for row, key in enumerate(keys)}
    return found


def remove_damaged(folder: Path) -> None:
    """Forget the parts that are not what was written, and those whose list does not say what that was."""
    for listed in folder.glob(f"*{_KEYS}"):
        # A part that cannot be read just now is not taken for damaged; that it cannot be opened is seen later.
        with contextlib.suppress(OSError):
            if sha256_of_file(listed.with_suffix(".npy")) != _listed(listed)[0]:
                listed.unlink()


def _listed(path: Path) -> tuple[str, list[str]]:
    """The sha256 of a part and the keys in it, as its list has them."""
    sha256, *keys = bytes_of_file(path).decode("ascii", errors="replace").split() or [""]
    return sha256, keys
