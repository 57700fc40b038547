"""What users rely on: public names, flags, one word for one thing in Python and the shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

import fledged
from fledged import errors
from fledged.cli import app
from fledged.config import SECTIONS

VERBS = [
    "build",
    "collect",
    "compare",
    "copy",
    "deploy",
    "evaluate",
    "explain",
    "export",
    "invoke",
    "find_lr",
    "prepare",
    "reproduce",
    "review",
    "scan",
    "serve",
    "test",
    "train",
    "tune",
    "verify",
]

# Frozen: a flag that goes away or changes its name breaks people's scripts. Add to it knowingly.
FLAGS = {
    "build": "--address --apply --backbone --drop-classes --engine --epochs --group-by --json --keep-splits --mode "
    "--sample --seed --set --weights --work",
    "collect": "--json --label --retry-failed --set",
    "compare": "--backbones --json --modes --set --weights --work",
    "copy": "--format --work",
    "deploy": "--bucket --dry-run --function --json --rollback --set --to --work",
    "evaluate": "--address --at-least --engine --json --set --track --work",
    "explain": "--json --model --set --work",
    "export": "--also --json --precision --set --work",
    "find-lr": "--backbone --batch-size --high --json --low --mode --seed --set --steps --unfreeze --views --weights "
    "--work",
    "invoke": "--json --sign --times",
    "predict": "--address --bundle --column --engine --from --json --resume --set --strict --to --top-k --work",
    "prepare": "--address --drop-classes --engine --fold --group-by --json --keep-splits --measure-leak --seed --set "
    "--split --work",
    "reproduce": "--json --work",
    "review": "--address --apply --backbone --drop-cluster --engine --json --no-open --open --port --reviewer --set "
    "--weights --work",
    "scan": "--address --engine --json --sample --set --work",
    "serve": "--feedback --host --port --set --watch --work",
    "test": "--json --model --set --work",
    "train": "--address --backbone --batch-size --engine --epochs --json --learning-rate --mode --resume --seed --set "
    "--show-augmented --time --track --unfreeze --views --weights --work",
    "tune": "--backbone --batch-size --epochs --folds --json --mode --seed --set --time --trials --unfreeze "
    "--views --weights --work",
    "verify": "--json --work",
}


def commands() -> dict[str, typer.core.TyperCommand]:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return dict(group.commands)  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", sorted(FLAGS))
def test_the_flags_of_a_command_are_frozen(verb: str) -> None:
    flags = sorted(
        flag
        for option in commands()[verb].params
        for flag in (*option.opts, *option.secondary_opts)
        if flag.startswith("--")
    )
    assert flags == FLAGS[verb].split()


def test_every_verb_is_in_python_and_in_the_shell() -> None:
    assert set(VERBS) == {name.replace("-", "_") for name in commands()} - {"predict"}
    assert set(VERBS) <= set(fledged.__all__)
    assert all(command.help for command in commands().values())


def test_every_public_name_is_there_and_has_words() -> None:
    for name in fledged.__all__:
        assert getattr(fledged, name).__doc__, name
    assert set(fledged.__all__) <= set(dir(fledged))


def test_every_section_of_the_settings_is_a_verb_or_about_machines() -> None:
    assert set(SECTIONS) - {"engine", "remote"} <= set(VERBS)


def test_every_error_is_raised_somewhere() -> None:
    source = "\n".join(path.read_text() for path in Path(fledged.__file__).parent.rglob("*.py"))
    for kind in errors.FledgedError.__subclasses__():
        assert f"raise {kind.__name__}(" in source, kind.__name__


def test_importing_fledged_imports_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "pydantic", "polars", "PIL", "typer"}
    code = f"import sys, fledged; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_missing_extra_is_named_with_its_install_line() -> None:
    code = "import sys; sys.modules['polars'] = None\nimport fledged\nfledged.scan"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra" in done.stderr
    assert "pip install 'fledged[train]'" in done.stderr
