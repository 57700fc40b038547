"""AWS's own runtime interface emulator, with a function in it, as Lambda runs it.

    python -m tests.deploying.emulator FOLDER    # fetches both into FOLDER

The emulator is a program inside the wheel of aws-sam-cli; the runtime's client is installed for the function's Python.
`FLEDGED_LAMBDA` names the folder.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from fledged.deploying.package import find_interpreter

PYTHON = "3.13"
FOLDER = Path(os.environ.get("FLEDGED_LAMBDA", ""))
MISSING = "FLEDGED_LAMBDA names no folder with AWS's emulator; `make test` makes one where Python 3.13 is at hand"
_CLIENT, _SAM = "awslambdaric==4.2.2", "aws-sam-cli==1.170.0"
_INVOKE = "2015-03-31/functions/function/invocations"


def is_there() -> bool:
    """Whether the emulator can be run."""
    return bool(os.environ.get("FLEDGED_LAMBDA")) and _emulator(FOLDER).exists()


@dataclass(frozen=True, slots=True)
class Function:
    """A function in the emulator."""

    url: str
    process: subprocess.Popen[bytes]

    def __call__(self, event: Any) -> Any:
        """What it answers, or the emulator's account of how it failed."""
        told = httpx.post(self.url, content=json.dumps(event).encode(), timeout=60)
        return told.json() if told.content else None


@contextlib.contextmanager
def running(task: Path, handler: str, log: Path, **environment: str) -> Iterator[Function]:
    """The function whose files lie in `task`, with nothing of this process in its environment."""
    ports = [_free_port(), _free_port()]
    command = [
        *(str(_emulator(FOLDER)), "--runtime-interface-emulator-address", f"127.0.0.1:{ports[0]}"),
        *("--runtime-api-address", f"127.0.0.1:{ports[1]}"),
        *(str(FOLDER / "venv" / "bin" / "python"), "-m", "awslambdaric", handler),
    ]
    own = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",
        "LAMBDA_TASK_ROOT": str(task),
        "PYTHONPATH": str(task),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": "eu-central-1",
        "AWS_LAMBDA_FUNCTION_NAME": "fledged",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "29",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    }
    with (
        log.open("wb") as lines,
        subprocess.Popen(command, cwd=task, env=own | environment, stdout=lines, stderr=lines) as process,
    ):
        try:
            _wait_for(ports[0], process)
            yield Function(f"http://127.0.0.1:{ports[0]}/{_INVOKE}", process)
        finally:
            process.terminate()


def body_of(answer: dict[str, Any]) -> bytes:
    """What the client would get."""
    text: str = answer["body"]
    return base64.b64decode(text) if answer["isBase64Encoded"] else text.encode()


def install(folder: Path) -> None:
    """Fetch the emulator and the client; says so where the function's Python is not here."""
    interpreter = find_interpreter(PYTHON)
    if interpreter is None:
        print(f"Python {PYTHON} is not at hand: tests with AWS's emulator will be skipped")
        return
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "download", "--no-deps", "--dest", str(folder), _SAM], check=True)
    (wheel,) = folder.glob("aws_sam_cli-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extract(f"samcli/local/rapid/{_emulator(folder).name}", folder)
    wheel.unlink()
    _emulator(folder).chmod(0o755)
    subprocess.run([interpreter, "-m", "venv", str(folder / "venv")], check=True)
    own = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*own, "install", _CLIENT], check=True)


def _emulator(folder: Path) -> Path:
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return folder / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{machine}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError("the emulator did not start")


if __name__ == "__main__":
    install(Path(sys.argv[1]))
