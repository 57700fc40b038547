"""In which numbers the network computes, and accelerate set up for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState, GradientState
from torch import distributed

_CPU_FLAGS = re.compile(r"^(?:flags|Features)\s*:.*\b(?:avx512_bf16|amx_bf16|bf16)\b", re.MULTILINE)

Precision = Literal["auto", "fp32", "bf16"]


def resolved(asked: Precision) -> Precision:
    """What `auto` is on this machine: bf16 where it has instructions for it; emulated it is slower than fp32."""
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if cpu_has_bf16() else "fp32"


def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU says that it multiplies in bf16 (x86: avx512_bf16, amx_bf16; ARM: bf16)."""
    try:
        return _CPU_FLAGS.search(cpuinfo.read_text(errors="replace")) is not None
    except OSError:
        return False


def accelerator(precision: Precision, *, on_cpu: bool = False) -> Accelerator:
    """accelerate for this precision (auto is decided here), on the fastest device at hand or on the CPU."""
    # The first Accelerator of a process decides for all later ones, which may want another device or precision.
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    # accelerate joins several processes on CPUs only where it is told that they are to be CPUs.
    on_cpu = on_cpu or (distributed.is_initialized() and not torch.cuda.is_available())
    return Accelerator(
        cpu=on_cpu,
        mixed_precision="bf16" if resolved(precision) == "bf16" else "no",
        kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
    )
