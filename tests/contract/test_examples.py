"""Examples in docs/examples name commands and flags that are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from fledged.cli.app import app

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def test_the_workflow_calls_commands_as_they_are() -> None:
    workflow = yaml.safe_load((EXAMPLES / "retrain.yml").read_text())
    steps: list[dict[str, Any]] = workflow["jobs"]["retrain"]["steps"]
    lines = "\n".join(step.get("run", "") for step in steps)
    calls = re.findall(r"\bfledged ((?:evaluate|build|deploy|invoke)\b[^|;}\n]*)", lines)
    assert {call.split()[0] for call in calls} == {"build", "evaluate", "deploy", "invoke"}
    commands: Any = get_command(app)
    for call in calls:
        verb, *words = shlex.split(call.replace("$(", "").replace(")", ""))
        known = {flag for option in commands.commands[verb].params for flag in option.opts}
        assert {word for word in words if word.startswith("--")} <= known, call
