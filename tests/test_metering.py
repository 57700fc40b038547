"""What a computation takes is counted, and energy only where the machine can tell."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fledged.metering import Meter


def counter(folder: Path, package: int, uj: int, most: int = 1_000_000) -> Path:
    place = folder / f"intel-rapl:{package}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "energy_uj").write_text(f"{uj}\n")
    (place / "max_energy_range_uj").write_text(f"{most}\n")
    return place


def test_wall_and_processor_time(tmp_path: Path) -> None:
    meter = Meter(tmp_path)
    # Other threads of this process may be busy as well: processor time can be more than wall time.
    end_s = time.thread_time() + 0.05
    while time.thread_time() < end_s:
        pass
    time.sleep(0.05)
    spent = meter.spent()
    assert spent.seconds >= 0.09
    assert spent.cpu_seconds is not None
    assert spent.cpu_seconds >= 0.05
    assert spent.joules is None


def test_energy_is_the_sum_of_the_packages_and_counters_begin_again(tmp_path: Path) -> None:
    counter(tmp_path, 0, 999_000)
    counter(tmp_path, 1, 100)
    (tmp_path / "intel-rapl:0:0").mkdir()  # a part of package 0, whose counter must not be added again
    meter = Meter(tmp_path)
    counter(tmp_path, 0, 499_999)
    counter(tmp_path, 1, 500_100)
    assert meter.spent().joules == pytest.approx(0.501 + 0.5)


def test_a_counter_that_may_not_be_read_is_no_energy(tmp_path: Path) -> None:
    place = counter(tmp_path, 0, 1)
    (place / "energy_uj").unlink()
    assert Meter(tmp_path).spent().joules is None
    counter(tmp_path, 0, 1)
    meter = Meter(tmp_path)
    (place / "energy_uj").unlink()
    assert meter.spent().joules is None
