"""A process that has imported everything and forks a child for each command: a trial then takes no start-up.

Started by injector.py, with the shim preloaded. Reads one JSON request a line, answers with one JSON line; or, with a
request as its argument, runs that one itself, as a fresh process does.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import jinja2
import typer.main

from fledged.training import train
from tests.faults import stand_ins
from tests.faults.state import State

_AWAY = "fledged.serving.function"  # opens a bundle where it is imported


def main() -> None:
    """Answer requests until the input ends."""
    stand_ins.lessen()
    train._CHECKPOINT_EVERY_S = 0.0  # after each epoch, however fast the machine is
    if sys.argv[1:]:
        _run(json.loads(sys.argv[1]), State(Path(os.environ["FAULTS_STATE"])))
    warm_up()
    answers = os.fdopen(os.dup(1), "w")
    print(json.dumps({"threads": len(os.listdir("/proc/self/task"))}), file=answers, flush=True)
    state = State(Path(os.environ["FAULTS_STATE"]))
    for line in sys.stdin:
        request = json.loads(line)
        for name in request["modules"]:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        gc.freeze()
        child = os.fork()
        if child == 0:
            _run(request, state)
        print(json.dumps({"status": os.waitpid(child, 0)[1]}), file=answers, flush=True)
    os._exit(0)  # without the words of native code about what it did not tidy up


def warm_up() -> None:
    """Import what the commands import."""
    import fledged.cli

    for found in pkgutil.walk_packages(fledged.__path__, "fledged."):
        if found.name != _AWAY and not found.name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(found.name)
    for name in ("timm", "torchvision.transforms.v2", "accelerate", "sklearn.linear_model", "onnx", "pyarrow.parquet"):
        importlib.import_module(name)
    share(fledged.cli.app)


def share(app: typer.Typer) -> None:
    """The command line, made once, and compiled templates: half of what a short command takes."""
    typer.main.get_command = functools.cache(typer.main.get_command)
    typer.main.get_command(app)
    compiled = Path.cwd() / "templates"  # not where faults happen
    compiled.mkdir(exist_ok=True)
    made = jinja2.Environment.__init__
    cache = jinja2.FileSystemBytecodeCache(str(compiled))
    jinja2.Environment.__init__ = functools.partialmethod(made, bytecode_cache=cache)  # type: ignore[method-assign, assignment]


def _run(request: dict[str, object], state: State) -> NoReturn:
    code = 99
    try:
        for number, name in ((0, "/dev/null"), (1, str(request["out"])), (2, str(request["err"]))):
            descriptor = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, number)
        os.setpgid(0, 0)  # killed as one, with pip where that works for it
        os.chdir(str(request["cwd"]))
        known = set(sys.modules)
        state.arm()
        code = _ask(request["argv"])
    except BaseException:
        traceback.print_exc()
    finally:
        state.disarm()
        sys.stdout.flush()
        sys.stderr.flush()
        Path(str(request["out"]) + ".modules").write_text(json.dumps(sorted(set(sys.modules) - known)))
        os._exit(code)


def _ask(argv: object) -> int:
    """The exit code of a command, or of a function `module:name` with arguments."""
    assert isinstance(argv, list)
    first = str(argv[0])
    if ":" in first:
        module, name = first.split(":")
        from fledged.errors import FledgedError

        try:
            getattr(importlib.import_module(module), name)(*argv[1:])
        except FledgedError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except OSError as error:  # as the command line says it
            print(f"error: {error}", file=sys.stderr)
            return 2
        return 0
    from fledged.cli import main as fledged_main

    sys.argv = ["fledged", *map(str, argv)]
    try:
        fledged_main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    main()
