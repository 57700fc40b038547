"""Which class and split a photo of an archive or a folder belongs to, told from the folders above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fledged.products import SPLIT_FOLDERS, Split

Place = tuple[Split | None, str]  # split and label; "" where no folder names a class

# Written by operating systems and tools beside people's photos.
_CLUTTER = {"__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db", "@eadir"}


def folders_of(name: str) -> tuple[str, ...]:
    """The folders above a file, whichever slash its archive writes, without "." and ".."."""
    return _parts(name)[:-1]


def is_clutter(name: str) -> bool:
    """Whether a file is hidden or written by an operating system."""
    return any(part.startswith(".") or part.lower() in _CLUTTER for part in _parts(name))


def placing(names: Sequence[str], label: str = "", wrapped: bool = True) -> Callable[[str], Place]:
    """A function that says of each of these names its split and label.

    Where all folders on top are called train, val (or valid) and test, they are splits and the class is one level
    below; else the top folder is the class. With `wrapped`, folders that hold all others (`dataset/owl/1.jpg`) do not
    count. A `label` that is given is that of all.
    """
    all_folders = [folders_of(name) for name in names if not is_clutter(name)]
    depth = _n_wrappers(all_folders) if wrapped else 0
    tops = {folders[depth] for folders in all_folders if len(folders) > depth}
    are_splits = _are_splits(tops)

    def place(name: str) -> Place:
        folders = folders_of(name)[depth:]
        split = SPLIT_FOLDERS.get(folders[0].lower()) if are_splits and folders else None
        labels = folders[1:] if split else folders
        return split, label or (labels[0] if labels else "")

    return place


def _n_wrappers(all_folders: list[tuple[str, ...]]) -> int:
    """How many folders lie above the first that fork or are splits; 0 if most photos lie above these."""
    for depth in range(max(map(len, all_folders), default=0)):
        tops = [folders[depth] for folders in all_folders if len(folders) > depth]
        # A class with some photos in a folder of its own is no wrapper; a stray photo beside the classes is no class.
        if 2 * len(tops) <= len(all_folders):
            return 0
        if len(set(tops)) > 1 or _are_splits(set(tops)):
            return depth
    return 0


def _are_splits(tops: set[str]) -> bool:
    return bool(tops) and all(top.lower() in SPLIT_FOLDERS for top in tops)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.replace("\\", "/").split("/") if part.strip() not in ("", ".", ".."))
