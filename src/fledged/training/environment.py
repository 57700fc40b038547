"""What a run is computed with: bit-exact repetition holds only where all of it is equal."""

from __future__ import annotations

import platform

import torch

import fledged
from fledged.fitting.processes import ALONE, Group
from fledged.metering import cpu_name
from fledged.products import Environment


def environment(group: Group = ALONE) -> Environment:
    """Of this process, and those that work with it."""
    return Environment(
        fledged=fledged.__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        cpu=cpu_name(),
        n_threads=torch.get_num_threads(),
        device="cuda" if torch.cuda.is_available() else "cpu",
        n_processes=group.size,
        engine=group.engine,
    )


def differences(then: Environment, now: Environment) -> list[str]:
    """What is not as it was, in words."""
    fields = [
        ("n_processes", "processes"),
        ("n_threads", "threads"),
        ("cpu", "CPU"),
        ("device", "device"),
        ("torch", "torch"),
        ("fledged", "fledged"),
    ]
    pairs = [(words, getattr(then, name), getattr(now, name)) for name, words in fields]
    return [f"{words} {before} then, {after} now" for words, before, after in pairs if before != after]
