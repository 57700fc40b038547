"""A lake in the making: names that say nothing, and the truth about each file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.planting.sources import Source


@dataclass(frozen=True, slots=True)
class Copy:
    """A file made of another one."""

    path: str
    original: str
    kind: str
    same_label: bool


@dataclass(slots=True)
class Truth:
    """What is in a planted lake; all paths are relative to it."""

    source_of: dict[str, str] = field(default_factory=dict)  # path -> the picture it shows
    untouched: list[str] = field(default_factory=list)  # photos as they were found
    broken: dict[str, str] = field(default_factory=dict)  # cannot be read -> kind
    odd_but_good: dict[str, str] = field(default_factory=dict)  # can be read -> kind
    exact: list[Copy] = field(default_factory=list)
    near: list[Copy] = field(default_factory=list)
    outliers: dict[str, str] = field(default_factory=dict)  # no photo of its class, or a bad one -> kind
    true_label: dict[str, str] = field(default_factory=dict)  # of every photo of a lake with wrong labels
    flipped: list[str] = field(default_factory=list)  # photos whose label is wrong

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=1))


class Lake:
    """Writes photos under names that give nothing away."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.truth = Truth()
        self._n = 0

    def write(self, label: str, data: bytes, suffix: str, source: str | None = None) -> str:
        """Write a file into the folder of its class; `source` names the picture it shows."""
        self._n += 1
        # By hash, so that neither a name nor the order of names tells a copy from its original.
        name = hashlib.sha256(f"{self.root.name} {self._n}".encode()).hexdigest()[:12]
        path = f"{label}/{name}{suffix}"
        (self.root / label).mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)
        if source is not None:
            self.truth.source_of[path] = source
        return path

    def write_source(self, source: Source) -> str:
        """Write a photo as it was found."""
        path = self.write(source.label, source.data, source.suffix, source.name)
        self.truth.untouched.append(path)
        return path
