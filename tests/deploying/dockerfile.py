"""A Dockerfile read into its stages, and their steps done in a plain folder, where there is no Docker."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

# All places that the steps write to; each lies below the plain folder instead.
_PLACES = re.compile(r"(?<![\w./])/(?=(?:tmp|function|bundle|task)\b)")


@dataclass
class Stage:
    """What follows a FROM."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)  # instruction, the rest of its line

    def last(self, instruction: str) -> str:
        return next(rest for word, rest in reversed(self.steps) if word == instruction)

    def command(self, root: Path, instruction: str = "CMD") -> list[str]:
        """The words of its CMD (or of the CMD of its HEALTHCHECK), in the plain folder."""
        words: list[str] = json.loads(self.last(instruction).rpartition("CMD ")[2])
        return [_PLACES.sub(f"{root}/", word) for word in words]


def stages(text: str) -> dict[str, Stage]:
    """By their names."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found: dict[str, Stage] = {}
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, name = rest.split(" AS ")
            stage = found[name] = Stage(base, name)
        elif word:
            stage.steps.append((word, rest.strip()))
    return found


def build(stage: Stage, context: Path, root: Path) -> None:
    """Do the COPY and RUN steps: what they name by a whole path lies in `root`; pip takes nothing from an index."""
    for instruction, rest in stage.steps:
        if instruction == "COPY":
            words = shlex.split(rest.replace("${LAMBDA_TASK_ROOT}", "/task"))
            there = root if words[0].startswith("--from=") else context
            *sources, target = words[1:] if words[0].startswith("--") else words
            for source in sources:
                _copy(there / source.lstrip("/"), root / target.lstrip("/"), into=target.endswith("/"))
        elif instruction == "RUN":
            python = shlex.quote(sys.executable)
            words_of_image = f'python() {{ {python} "$@"; }}; pip() {{ {python} -m pip "$@"; }}; useradd() {{ :; }}; '
            own = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_COMPILE": "1", "PIP_TARGET": str(root / "site")}
            command = words_of_image + _PLACES.sub(f"{root}/", rest)
            subprocess.run(["bash", "-ec", command], check=True, cwd=root, env=os.environ | own, timeout=120)


def _copy(source: Path, target: Path, *, into: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        target = target / source.name if into else target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
