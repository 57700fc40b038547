"""A few of the faults of `make faults`, drawn by a seed, and that the injector sees what the kernel sees."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fledged.writing import write_bytes
from tests.faults import power
from tests.faults.injector import HERE, MISSING, Injector
from tests.faults.state import NAMES, OPEN_TO_WRITE, SYNC, WRITE, State
from tests.faults.trials import FAULTS, bench, folder_for
from tests.faults.verbs import COMMANDS, FIRST, LIGHT, lay_ground

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

N_TRIALS = 3  # of each command
SEED = 8


@pytest.fixture(scope="module")
def injector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Injector]:
    """One warm process: it has imported everything, and each run is a fork of it."""
    folder = Path(tempfile.mkdtemp(prefix="fledged-faults-", dir=folder_for(tmp_path_factory.getbasetemp())))
    opened = Injector(folder)
    yield opened
    opened.close()
    shutil.rmtree(folder)


def test_no_fault_loses_a_product_and_the_same_command_mends_it(injector: Injector) -> None:
    draw, n_trials = random.Random(SEED), 0
    ground_folder = injector.folder / "ground"
    for name, ground in lay_ground(ground_folder, injector, LIGHT):
        measured = bench(name, ground, injector)
        for fault in draw.sample(FAULTS, N_TRIALS):
            nth = draw.randint(1, max(1, measured.n_operations(fault)))
            hit, broken = measured.trial(fault, nth)
            assert hit, (name, fault.name, nth)
            assert not broken, (name, fault.name, nth, hit, broken)
            n_trials += 1
    assert n_trials == N_TRIALS * len(LIGHT)


def test_a_fork_does_what_a_fresh_process_does(injector: Injector) -> None:
    for name, ground in lay_ground(injector.folder / "fresh", injector, LIGHT):
        measured = bench(name, ground, injector)
        fresh = measured.operations(is_fresh=True)
        assert fresh.total() > 20, name
        assert measured.operations(is_fresh=False) == fresh


def test_a_power_cut_loses_nothing_that_was_said_to_be_saved(injector: Injector) -> None:
    draw, n_cuts = random.Random(SEED), 0
    wanted = (*(FIRST + name for name in LIGHT), *LIGHT)
    for name, ground in lay_ground(injector.folder / "power", injector, wanted):
        measured = bench(name, ground, injector)
        trace = measured.trace()
        for model in power.MODELS:
            for n in (draw.randrange(len(trace.events)), len(trace.events)):
                broken = measured.power_cut(trace, n, model, SEED)
                assert not broken, (name, model, n, trace.events[:n][-1:], broken)
                n_cuts += 1
    assert n_cuts == 2 * len(power.MODELS) * len(wanted)


_WRITE_ONE = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {root!r} + "/src"]
import pyarrow, pyarrow.parquet, polars
from tests.faults.state import State
from fledged.writing import write_bytes, write_table
state = State(Path({state!r}))
state.arm()
area = Path({area!r})
write_bytes(area / "a" / "one", bytes(3000))
write_table(area / "b" / "two", polars.DataFrame({{"x": [1, 2, 3]}}))
pyarrow.parquet.write_table(pyarrow.table({{"x": [1, 2, 3]}}), str(area / "three"))
polars.DataFrame({{"x": [1, 2, 3]}}).write_parquet(area / "four")
(area / "three").unlink()
state.disarm()
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace, which says what the kernel saw, is not installed")
def test_the_shim_sees_every_operation_that_the_kernel_sees(tmp_path: Path) -> None:
    shim, area = tmp_path / "shim.so", tmp_path / "area"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, HERE / "shim.c", "-ldl"], check=True)
    area.mkdir()
    state = State(tmp_path / "state")
    state.order(area, "count", OPEN_TO_WRITE | WRITE | SYNC | NAMES, 0)
    script = _WRITE_ONE.format(root=str(HERE.parents[1]), state=str(tmp_path / "state"), area=str(area))
    (tmp_path / "script.py").write_text(script)
    calls = "open,openat,creat,write,pwrite64,writev,ftruncate,fsync,fdatasync,mkdir,mkdirat,unlink,unlinkat"
    calls += ",rename,renameat,renameat2"
    preloaded = ["env", f"LD_PRELOAD={shim}", f"FAULTS_STATE={tmp_path / 'state'}"]
    strace = ["strace", "-f", "-y", "-e", f"trace={calls}", "-o", str(tmp_path / "calls")]
    command = [*strace, *preloaded, sys.executable, str(tmp_path / "script.py")]
    traced = subprocess.run(command, check=False, capture_output=True, text=True)
    if "ptrace" in traced.stderr.lower():
        pytest.skip("strace may not trace here")
    assert traced.returncode == 0, traced.stderr[-2000:]
    seen = [
        line for line in (tmp_path / "calls").read_text().splitlines() if str(area) in line and "resumed" not in line
    ]
    opened_to_read = re.compile(r"open(at)?\(.*O_RDONLY(?!.*O_CREAT)")
    of_kernel = [line for line in seen if not opened_to_read.search(line)]
    assert state.count == len(of_kernel), "\n".join(of_kernel)
    assert state.count > 20


def test_a_fault_is_felt_at_the_operation_that_was_asked_for(injector: Injector) -> None:
    area = injector.folder / "area"
    area.mkdir()
    write_bytes(area / "work" / "decisions.jsonl", b"")
    argv = COMMANDS["decide"]
    killed = injector.run(argv, area, "kill", WRITE, 1)
    assert (killed.code, killed.hit.split()[0]) == (-9, "write")
    assert (area / "work" / "decisions.jsonl").read_bytes() == b""
    torn = injector.run(argv, area, "tear and kill", WRITE, 1)
    assert torn.code == -9
    assert 0 < (area / "work" / "decisions.jsonl").stat().st_size < 200
    assert injector.run(argv, area).code == 0


def test_a_kill_ends_what_the_command_has_started_too(injector: Injector) -> None:
    area = injector.folder / "area"
    killed = injector.run(COMMANDS["fetch"], area, "kill", NAMES, 12)
    assert killed.code == -9, killed.err
    (draft,) = (area / "work" / "cache" / "wheels").glob(".*.part")
    assert f" {draft}/" in killed.hit
    there = sorted(draft.rglob("*"))
    assert there
    time.sleep(0.2)
    assert sorted(draft.rglob("*")) == there
