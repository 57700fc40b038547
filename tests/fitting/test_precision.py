"""bf16 only where the machine computes with it; each Accelerator is what was asked for, whatever the one before was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fledged.fitting import precision

X86 = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512f {}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X86.format("avx512_bf16"), True),
        (X86.format("amx_tile amx_bf16 amx_int8"), True),
        (X86.format("avx512_vnni"), False),
        ("Features\t: fp asimd bf16 sve\n", True),
        ("Features\t: fp asimd svebf16x\n", False),
        ("model name\t: bf16 in its name only\n", False),
    ],
)
def test_the_cpu_says_whether_it_has_bf16(tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert precision.cpu_has_bf16(tmp_path / "cpuinfo") is expected


def test_a_machine_that_does_not_say_has_none(tmp_path: Path) -> None:
    assert precision.cpu_has_bf16(tmp_path / "none") is False


def test_what_is_asked_for_is_taken_and_auto_is_decided() -> None:
    assert precision.resolved("fp32") == "fp32"
    assert precision.resolved("bf16") == "bf16"
    assert precision.resolved("auto") in ("fp32", "bf16")


def test_one_accelerator_does_not_decide_for_the_next() -> None:
    layer = torch.nn.Linear(8, 8)
    seen = []
    order: tuple[precision.Precision, ...] = ("bf16", "fp32", "bf16")
    for asked in order:
        accelerator = precision.accelerator(asked, on_cpu=True)
        with accelerator.autocast():
            seen.append(layer(torch.ones(2, 8)).dtype)
    assert seen == [torch.bfloat16, torch.float32, torch.bfloat16]
