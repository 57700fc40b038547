"""Asks whether a hole is known in a package that is pinned: `python docs/audit.py requirements.lock …`.

The index is OSV's (https://osv.dev), which has PyPI's own advisories and GitHub's; it is told names and versions, and
nothing else. Ends with 0 where none is known, with 1 where one is, and with 2 where the index cannot be asked: a check
that was not made has not been passed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

INDEX = "https://api.osv.dev"
_AT_ONCE = 500  # of 1000 that OSV takes
_TIMEOUT_S = 30
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;#\\]+)", re.MULTILINE)

Pin = tuple[str, str]


def pins(files: Sequence[Path]) -> list[Pin]:
    """The name and version of each package in lock files, once."""
    found = {(re.sub(r"[-_.]+", "-", n).lower(), v) for file in files for n, v in _PIN.findall(file.read_text())}
    return sorted(found)


def known_holes(pinned: Sequence[Pin], index: str) -> dict[Pin, list[str]]:
    """The advisories of each package that has any. Raises OSError where the index cannot be asked."""
    holes: dict[Pin, list[str]] = {}
    pending: list[dict[str, Any]] = [{"package": {"name": n, "ecosystem": "PyPI"}, "version": v} for n, v in pinned]
    while pending:
        asked, pending = pending[:_AT_ONCE], pending[_AT_ONCE:]
        for query, answer in zip(asked, _post(f"{index}/v1/querybatch", {"queries": asked})["results"], strict=True):
            pin = (query["package"]["name"], query["version"])
            for hole in answer.get("vulns", ()):
                holes.setdefault(pin, []).append(hole["id"])
            if token := answer.get("next_page_token"):
                pending.append(query | {"page_token": token})
    return {pin: sorted(set(ids)) for pin, ids in sorted(holes.items())}


def _post(url: str, body: object) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        return json.load(answer)


def main(files: Sequence[Path], index: str = INDEX) -> int:
    """0, 1 or 2, as said above."""
    pinned = pins(files)
    if not pinned:
        sys.stderr.write(f"No package is pinned in {', '.join(map(str, files))}\n")
        return 2
    try:
        holes = known_holes(pinned, index)
    except (OSError, ValueError, KeyError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        sys.stderr.write(f"Not checked: {index} cannot be asked ({reason})\n")
        return 2
    for (name, version), ids in holes.items():
        sys.stderr.write(f"{name} {version}: {' '.join(f'https://osv.dev/{hole}' for hole in ids)}\n")
    sys.stdout.write(f"{len(pinned)} packages, {len(holes)} with a known hole\n")
    return 1 if holes else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python docs/audit.py", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="LOCK")
    parser.add_argument("--index", default=INDEX)
    given = parser.parse_args()
    sys.exit(main(given.files, given.index))
