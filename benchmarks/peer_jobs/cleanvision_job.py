"""CleanVision's default checks: `python cleanvision_job.py LAKE OUT.json`."""

import json
import sys
from pathlib import Path

from cleanvision import Imagelab


def main(lake: Path, out: Path) -> None:
    """Write {"flags": {path: [kind]}, "pairs": [[path, path]], "exact": [[path, path]]}."""
    lab = Imagelab(data_path=str(lake))
    lab.find_issues(verbose=False)
    flags: dict[str, list[str]] = {}
    for column in lab.issues.columns:
        if column.startswith("is_") and column.endswith("_issue"):
            kind = column.removeprefix("is_").removesuffix("_issue")
            for path in lab.issues.index[lab.issues[column].astype(bool)]:
                flags.setdefault(_relative(path, lake), []).append(kind)

    def pairs(kind: str) -> list[list[str]]:
        sets = lab.info.get(kind, {}).get("sets", [])
        return [[_relative(one[0], lake), _relative(other, lake)] for one in sets for other in one[1:]]

    found = {"flags": flags, "pairs": pairs("near_duplicates"), "exact": pairs("exact_duplicates")}
    seen = [_relative(path, lake) for path in lab.issues.index]
    out.write_text(json.dumps({**found, "seen": seen}))


def _relative(path: str, lake: Path) -> str:
    return Path(path).resolve().relative_to(lake.resolve()).as_posix()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
