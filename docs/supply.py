"""Writes what is installed with fledged, for people and for machines: `python docs/supply.py FOLDER`.

`licences.md` is a table; `sbom.cdx.json` is CycloneDX 1.6. Both tell of the packages that this Python's fledged needs,
found from their own metadata. Fails if one of them is under a licence that asks more than to be named (GPL, AGPL).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

# Of the network and of whatever is linked: nobody can serve or sell what holds them without a thought.
_REFUSED = re.compile(r"\bA?GPL", re.IGNORECASE)
_LESSER = re.compile(r"\bLGPL|LESSER", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Package:
    """One that is installed."""

    name: str
    version: str
    licence: str


def needed(root: str = "fledged") -> list[Package]:
    """The package and all that it needs here, by name; extras only where they are asked for."""
    found: dict[str, Package] = {}
    pending = [root]
    while pending:
        name = re.sub(r"[-_.]+", "-", pending.pop()).lower()
        if name in found:
            continue
        told = metadata.metadata(name)
        found[name] = Package(name, told["Version"], licence_of(told))
        for line in metadata.requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                pending.append(requirement.name)
    return [found[name] for name in sorted(found)]


def licence_of(told: metadata.PackageMetadata) -> str:
    """The licence's name: the SPDX expression, or the classifiers, or the first line of the text."""
    if "License-Expression" in told:
        return told["License-Expression"]
    classified = [line.rpartition("::")[2].strip() for line in told.get_all("Classifier") or () if "License ::" in line]
    if classified:
        return " and ".join(classified)
    text = told["License"].strip() if "License" in told else ""
    return text.splitlines()[0][:80] if text else "not said"


def refused(packages: Sequence[Package]) -> list[Package]:
    """Those under a licence that asks more than to be named."""
    return [p for p in packages if _REFUSED.search(_LESSER.sub("", p.licence)) or p.licence == "not said"]


def table(packages: Sequence[Package]) -> str:
    """For people."""
    rows = "".join(f"| {p.name} | {p.version} | {p.licence} |\n" for p in packages)
    return f"# Licences of what is installed with fledged\n\n| package | version | licence |\n|---|---|---|\n{rows}"


def sbom(packages: Sequence[Package]) -> str:
    """For machines: the same for the same packages, so without a time."""
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{p.name}@{p.version}",
            "name": p.name,
            "version": p.version,
            "purl": f"pkg:pypi/{p.name}@{p.version}",
            "licenses": [{"license": {"name": p.licence}}],
        }
        for p in packages
    ]
    (main,) = (c for c in components if c["name"] == "fledged")
    others = [c for c in components if c is not main]
    told = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}
    return json.dumps({**told, "metadata": {"component": main}, "components": others}, indent=2) + "\n"


def main(folder: Path) -> int:
    """1 if a licence is refused."""
    packages = needed()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "licences.md").write_text(table(packages))
    (folder / "sbom.cdx.json").write_text(sbom(packages))
    sys.stdout.write(f"{len(packages)} packages: {folder / 'licences.md'}, {folder / 'sbom.cdx.json'}\n")
    for package in (bad := refused(packages)):
        sys.stderr.write(f"{package.name} {package.version}: {package.licence}\n")
    return min(1, len(bad))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
