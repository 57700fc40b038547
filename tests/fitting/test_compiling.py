"""Compiled steps learn what usual ones do; where nothing can be compiled, a line says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.exc import Unsupported

from fledged.config import resolve
from fledged.errors import ConfigError, TrainingError
from fledged.fitting import compiling
from fledged.fitting.batches import FeatureBatches
from fledged.fitting.epochs import Progress
from fledged.fitting.loop import fit
from fledged.fitting.plan import Plan
from fledged.fitting.precision import Precision, accelerator
from fledged.networks.model import Head, Tail
from fledged.products import Dataset
from fledged.progress import silent
from fledged.settings.training import OptimizeConfig, TrainConfig
from fledged.training.budget import Clock
from fledged.training.concrete import concrete, identity
from fledged.training.timed import timed_job
from fledged.workspace import Workspace

WHY = "compiles, for half a minute; `make compiled` does"
COMPILING = {"optimize": {"compile": True}}


def plan(precision: Precision, compile: bool) -> Plan:
    optimize = OptimizeConfig(weight_decay=0.01, precision=precision, compile=compile)
    return Plan(epochs=3, batch_size=8, learning_rate=0.02, seed=3, optimize=optimize, keeps_statistics=True)


def tail(dropout: float) -> Tail:
    torch.manual_seed(0)
    blocks = [nn.Conv2d(4, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, groups=8)]
    head = Head(8, 2, dropout)
    nn.init.normal_(head.linear.weight)
    return Tail(nn.Sequential(nn.Unflatten(1, (4, 6, 6)), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()), head)


def learned(
    precision: Precision, *, compile: bool, so_far: Progress | None = None, epochs: int = 3, dropout: float = 0.0
) -> Progress:
    """By a tail, on batches of 8, 8 and 3."""
    random, labels = torch.Generator().manual_seed(4), torch.arange(19) % 2
    activations = torch.rand(1, 19, 144, generator=random) + labels[None, :, None]
    train, val = (FeatureBatches(activations, labels, 8, 1, shuffle) for shuffle in (True, False))
    how, progress = plan(precision, compile), so_far or Progress()
    for progress in fit(tail(dropout), train, val, how, progress, accelerator(precision, on_cpu=True)):  # noqa: B020
        if len(progress.history) == epochs:
            break
    return progress


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """By us: torch's own log is long."""
    return [record.getMessage() for record in caplog.records if record.name == "fledged"]


@pytest.fixture
def compiler() -> None:
    """Skips where there is none, and where nobody asked."""
    if "FLEDGED_COMPILE" not in os.environ:
        pytest.skip(WHY)
    if not compiling.is_possible():
        pytest.skip("torch cannot compile here")


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(("precision", "apart"), [("fp32", 1e-4), ("bf16", 0.02)])
def test_it_learns_what_usual_steps_do(precision: Precision, apart: float, caplog: pytest.LogCaptureFixture) -> None:
    with torch._dynamo.config.patch(error_on_recompile=True):  # once is enough for all steps
        compiled = learned(precision, compile=True)
    assert not told(caplog)
    usual = learned(precision, compile=False)
    for ours, theirs in zip(compiled.history, usual.history, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=apart)
        assert ours.val_loss == pytest.approx(theirs.val_loss, rel=apart)
    assert compiled.history[-1].val_loss < compiled.history[0].val_loss


@pytest.mark.usefixtures("compiler")
def test_resumed_it_ends_in_the_same_bits() -> None:
    first, whole = (learned("bf16", compile=True, epochs=n, dropout=0.2) for n in (1, 3))
    resumed = learned("bf16", compile=True, so_far=first, dropout=0.2)
    assert all(torch.equal(whole.model[name], tensor) for name, tensor in resumed.model.items())
    assert all(torch.equal(whole.optimizer[name], tensor) for name, tensor in resumed.optimizer.items())


def test_whole_batches_alone_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def compile(model: nn.Module, **_: Any) -> nn.Module:
        class Noting(nn.Module):
            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                seen.append(len(inputs))
                return model(inputs)  # type: ignore[no-any-return]

        return Noting()

    monkeypatch.setattr(torch, "compile", compile)
    learned("fp32", compile=True)
    assert seen == [8, 8] * 3


class Refusing(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        raise self.error


def test_a_network_that_is_not_compiled_is_trained_as_usual(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: Refusing(Unsupported("a layer\nof its own")))
    refused, usual = learned("fp32", compile=True), learned("fp32", compile=False)
    assert refused.history[-1].val_loss == pytest.approx(usual.history[-1].val_loss, rel=1e-4)
    (line,) = told(caplog)
    assert "taken as usual, since torch cannot compile here: a layer of its own" in line


def test_memory_that_runs_out_is_no_matter_of_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: Refusing(torch.OutOfMemoryError("no more")))
    with pytest.raises(TrainingError, match="Memory ran out"):
        learned("fp32", compile=True)


TRY = """
import logging
import torch
from fledged.fitting import compiling
logging.basicConfig(format="%(message)s")
print(compiling.is_possible())
network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Sigmoid())
print(compiling.Compiled(network, batch_size=4)(torch.ones(4, 3)).shape)
"""


@pytest.mark.skipif("FLEDGED_COMPILE" not in os.environ, reason=WHY)
def test_without_a_compiler_a_line_says_so_and_all_goes_on(tmp_path: Path) -> None:
    tried = subprocess.run(
        [sys.executable, "-c", TRY],
        env=os.environ | {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert tried.stdout == "False\ntorch.Size([4, 2])\n"
    assert tried.stderr.count("Steps are not compiled, but taken as usual, since torch cannot compile here: ") == 2


MODES = ("transfer", "finetune")


@pytest.mark.parametrize("can", [True, False])
def test_the_settings_of_a_run_say_what_was_done(dataset: Dataset, monkeypatch: pytest.MonkeyPatch, can: bool) -> None:
    monkeypatch.setattr(compiling, "is_possible", lambda: can)
    of = {mode: concrete(resolve(TrainConfig, {"mode": mode, **COMPILING}), "vgg11", dataset) for mode in MODES}
    assert {mode: config.optimize.compile for mode, config in of.items()} == {"transfer": False, "finetune": can}
    assert ("compile" in identity(of["finetune"])["optimize"]) is can


def test_what_compiling_takes_is_not_promised(dataset: Dataset, work: Any) -> None:
    asked = resolve(TrainConfig, COMPILING)
    with pytest.raises(ConfigError, match="What compiling takes cannot be foreseen"):
        timed_job(dataset, asked, Clock(60), Workspace(work), silent)
