"""A connection to a Ray cluster, or one line that says why there is none and how to mend it."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from fledged import naming_extras
from fledged.errors import EngineError, FledgedError
from fledged.settings.engine import EngineConfig

# What a process of its own says of an address: Ray tries for over a minute, talks meanwhile, and may then end the
# process that asked.
_KNOCK = """
import sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="CRITICAL")
except BaseException as error:
    print(f"{type(error).__name__}: {error}")
else:
    print("connected")
"""
_TOKEN = re.compile(r"Unauthenticated|InvalidAuthToken|AuthenticationError|authentication token", re.IGNORECASE)
_VERSIONS = re.compile(r"Version mismatch.*?Ray: (\S+)\s+Python: (\S+)", re.DOTALL)
_PORT_TIMEOUT_S = 5.0
_GONE_S = 60.0  # of a cluster that has just answered


def connected(settings: EngineConfig) -> Any:
    """Ray's module, connected to the cluster of the settings until the process ends; a new one without an address.

    Raises EngineError where there is none, MissingExtra where Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray otherwise tells its maker of every start
    with naming_extras():
        import ray
    if ray.is_initialized():
        return _same(ray, settings.address)
    if settings.address and (refusal := _refusal(settings)) is not None:
        raise refusal
    try:
        with _own_signals():
            is_there = _in_time(partial(_begin, ray, settings.address), _GONE_S if settings.address else None)
    except Exception as error:  # of many kinds, from version to version
        raise EngineError(
            f"Ray cannot {'connect' if settings.address else 'start'}: {' '.join(str(error).split())[:200]}",
            where=f"--address {settings.address}" if settings.address else None,
            remedy="Try in a shell: ray status" if settings.address else "Try in a shell: ray start --head",
        ) from error
    if not is_there:
        raise _absent(settings)
    return ray


def _in_time(begin: Callable[[], None], timeout_s: float | None) -> bool:
    """Whether it came to an end: a cluster that goes between two looks would be waited for without end."""
    if timeout_s is None:
        begin()
        return True
    done: list[Exception | None] = []

    def run() -> None:
        try:
            begin()
        except Exception as error:  # raised again by who waits
            done.append(error)
        else:
            done.append(None)

    thread = threading.Thread(target=run, daemon=True, name="ray")
    thread.start()
    thread.join(timeout_s)
    if done and done[0] is not None:
        raise done[0]
    return bool(done)


def _begin(ray: Any, address: str) -> None:
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if not address:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        how |= {"num_cpus": cores, "include_dashboard": False}
    ray.init(address or "local", **how)
    _hush()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray ends a program at SIGTERM with an exit code of its own; afterwards this program does what it did before."""
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if is_main and before is not None:
            signal.signal(signal.SIGTERM, before)


def _same(ray: Any, address: str) -> Any:
    """The connection that there is, unless another cluster is asked for by name."""
    here = ray.get_runtime_context().gcs_address
    if address in ("", "auto") or _resolved(address) == _resolved(here):
        return ray
    raise EngineError(
        f"This program is connected to the Ray cluster {here} already",
        where=address,
        remedy="Call ray.shutdown() first, or leave the address out.",
    )


def _resolved(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    if host in ("localhost", "127.0.0.1"):
        host = socket.gethostname()
    try:
        return socket.gethostbyname(host), port
    except OSError:
        return host, port


def _absent(settings: EngineConfig) -> EngineError:
    return EngineError(
        f"No Ray cluster answers within {settings.answer_s:g} s",
        where=f"--address {settings.address}",
        remedy="Check the address (of the head, port 6379 unless it was told otherwise) with: ray status",
    )


def _refusal(settings: EngineConfig) -> FledgedError | None:
    """Why this process cannot connect, found out in bounded time; None where it can."""
    address, absent = settings.address, _absent(settings)
    if address != "auto" and not _listens(address, min(_PORT_TIMEOUT_S, settings.answer_s)):
        return absent
    said, noise = _knocked(address, settings.answer_s)
    return None if said == "connected" else _explained(said, noise, absent)


def _knocked(address: str, timeout_s: float) -> tuple[str, str]:
    """What a process that tried to connect has said on standard output and on standard error."""
    noise = ""
    command = [sys.executable, "-c", _KNOCK, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        timer = threading.Timer(timeout_s, process.kill)
        timer.start()
        for line in process.stderr:
            noise += line
            if _TOKEN.search(line):  # it would be tried again and again
                process.kill()
        timer.cancel()
        return process.stdout.read().strip(), noise


def _explained(said: str, noise: str, absent: EngineError) -> FledgedError:
    if (versions := _VERSIONS.search(said)) is not None:
        here = f"Ray {importlib.metadata.version('ray')} on Python {platform.python_version()}"
        return EngineError(
            f"The cluster runs Ray {versions[1]} on Python {versions[2]}, and this process {here}",
            where=absent.where,
            remedy="Make an environment with the cluster's versions, or start the cluster from this one.",
        )
    if _TOKEN.search(said) or _TOKEN.search(noise):
        return EngineError(
            "The cluster does not take this machine's token, or this machine has none",
            where=absent.where,
            remedy="Put the cluster's token (there: ray get-auth-token) into ~/.ray/auth_token or RAY_AUTH_TOKEN.",
        )
    if not said or "Failed to connect" in said or "TimedOut" in noise:
        return absent
    if "Could not find any running Ray" in said:
        return EngineError(
            "There is no Ray cluster on this machine",
            where=absent.where,
            remedy="Start one with: ray start --head; or leave --address out.",
        )
    return EngineError(
        f"Ray cannot connect: {said.splitlines()[0][:200]}",
        where=absent.where,
        remedy="Run fledged on a machine of the cluster; see: ray status",
    )


def _listens(address: str, timeout_s: float) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout_s):
            return True
    except OSError:
        return False


def _hush() -> None:
    """Ray prints a page about each lost worker on standard output, where our answers go; each is dealt with."""
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = _say_nothing


def _say_nothing(data: dict[str, Any], ignore_prefix: bool) -> None:
    """Takes what Ray would print."""
