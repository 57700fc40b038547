"""Programs of tests start in an interpreter that has the large libraries in memory already.

A command that trains spends seconds importing torch, torchvision, timm and scikit-learn, and the tests run a hundred
commands. `python()` stands for the interpreter in a command line. It is a real process with its own arguments,
environment, folder, files and signals, forked from a server that has imported those libraries and done nothing else.
"""

from __future__ import annotations

import atexit
import functools
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

_HERE = Path(__file__).parent


@functools.cache
def python() -> tuple[str, ...]:
    """The words to begin a command with, as `sys.executable` would; `-m MODULE`, `-c CODE` or a script follow."""
    folder = tempfile.mkdtemp(prefix="preloaded-")  # a socket's path must be short
    address = os.path.join(folder, "socket")  # noqa: PTH118
    server = subprocess.Popen([sys.executable, str(_HERE / "server.py"), address])
    atexit.register(server.wait)
    atexit.register(server.terminate)
    return (sys.executable, "-SE", str(_HERE / "client.py"), address)


@functools.cache
def commands() -> Path:
    """A folder for the PATH, with a command `fledged` that starts so."""
    command = Path(python()[-1]).with_name("bin") / "fledged"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.join(python())} -m fledged "$@"\n')
    command.chmod(0o755)
    return command.parent
