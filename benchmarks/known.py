"""What was seen by eye in the real photos that the benchmarks use; nothing here is read by fledged."""

from __future__ import annotations

# Pairs of different files of the public photos that show one picture, and so are no false findings.
ALIKE: frozenset[frozenset[str]] = frozenset()
