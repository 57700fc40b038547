"""Imports the large libraries once, then forks a process for every program that it is asked to run.

For each program there is a keeper. It hands on signals, kills the program if its client is gone, and tells its end.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading

# What imports torch and its like; none of it may compute anything, or start a thread, before the fork.
LIBRARIES = (
    "torch",
    "torchvision.models.feature_extraction",
    "torchvision.transforms.v2",
    "timm",
    "accelerate",
    "onnx",
    "onnxruntime",
    "cleanlab.filter",
    "cleanlab.rank",
    "sklearn.cluster",
    "sklearn.linear_model",
    "safetensors.torch",
    "jinja2",
    "pydantic",
)


def serve(address: str) -> list[str]:
    """Answers until it is terminated; returns in the process of a program, with the words of its command line."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are not waited for
        while True:
            client, _ = listener.accept()
            if os.fork():
                client.close()
                continue
            listener.close()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _keep(client)


def _keep(client: socket.socket) -> list[str]:
    asked, files, _, _ = socket.recv_fds(client, 2**20, 3)
    while not asked.endswith(b"\n"):
        asked += client.recv(2**20)
    program = os.fork()
    if not program:
        client.close()
        return _become(json.loads(asked), files)
    for file in files:
        os.close(file)
    for number in (signal.SIGINT, signal.SIGTERM):  # of a terminal; the program has its own
        signal.signal(number, signal.SIG_IGN)
    ended = os.pidfd_open(program)
    while True:
        ready, _, _ = select.select([client.fileno(), ended], [], [])
        if ended in ready:
            _, status = os.waitpid(program, 0)
            client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        numbers = client.recv(64)
        for received in numbers or [signal.SIGKILL]:
            os.kill(program, received)
        if not numbers:
            os.waitpid(program, 0)
            os._exit(0)


def _become(asked: dict[str, list[str] | dict[str, str] | str], files: list[int]) -> list[str]:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    words, environment, folder = asked["words"], asked["environment"], asked["folder"]
    assert isinstance(words, list)
    assert isinstance(environment, dict)
    assert isinstance(folder, str)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    # Buffered by line in a terminal only, as they would have been.
    sys.stdin, sys.stdout = open(0), open(1, "w", buffering=1 if os.isatty(1) else -1)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return words


def run(words: list[str]) -> None:
    """What the interpreter does with a command line."""
    how, *rest = words
    if how == "-m":
        module, *sys.argv[1:] = rest
        sys.path[0] = os.getcwd()  # noqa: PTH109
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    elif how == "-c":
        code, *rest = rest
        sys.argv = ["-c", *rest]
        sys.path[0] = ""
        exec(compile(code, "<string>", "exec"), sys.modules["__main__"].__dict__)
    else:
        sys.argv = words
        sys.path[0] = os.path.dirname(how)  # noqa: PTH120
        runpy.run_path(how, run_name="__main__")


def leave(code: object) -> None:
    """What the interpreter does at its end, but for freeing the libraries, which takes most of a second."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more, or the program closed it
            stream.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.collect()
    gc.freeze()
    words = serve(sys.argv[1])
    try:
        run(words)
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    else:
        code = 0
    leave(code)
