"""A plan is arithmetic: what is doubled is doubled, and what holds a step back is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.planning import Cluster, Rates, breaks_at, plan

RATES = Rates(
    probe_s=0.01,
    shrink_s=0.01,
    features_s=0.02,
    scan_alone_s=0.0,
    prepare_alone_s=0.0001,
    find_alone_s=0.0002,
    start_s=5.0,
    search_s=0.001,
    search_at=1000,
    search_exponent=1.5,
    photo_bytes=100_000,
    copy_bytes=10_000,
    row_bytes=1000,
    search_bytes=500,
)


def hours(rates: Rates, cluster: Cluster, n: float) -> dict[str, float]:
    return {step.name.removeprefix("review: "): step.hours for step in plan(rates, cluster, n)}


def test_more_photos_and_more_machines() -> None:
    one, wide = Cluster(machines=1, cores=4, gbit_s=1e6), Cluster(machines=10, cores=4, gbit_s=1e6)
    alone, twice, shared = hours(RATES, one, 1e6), hours(RATES, one, 2e6), hours(RATES, wide, 1e6)
    assert alone["scan"] == pytest.approx(1e6 * 0.01 / 4 / 3600)
    assert twice["scan"] == pytest.approx(2 * alone["scan"])
    assert shared["scan"] == pytest.approx(alone["scan"] / 10)
    # What one program does, more machines do not.
    assert shared["prepare"] == alone["prepare"] == pytest.approx(1e6 * 0.0001 / 3600)
    found = "comparing, classes, pages"
    assert shared[found] == alone[found] == pytest.approx((1e6 * 0.0002 + 5) / 3600)
    # Twice the photos cost more than twice the search, which any number of machines share.
    search = "candidates for near duplicates"
    assert twice[search] == pytest.approx(2**1.5 * alone[search])
    assert shared[search] == pytest.approx(alone[search] / 10)


@pytest.mark.parametrize(
    ("rates", "gbit_s", "held_by"),
    [(RATES, 1e6, "cores"), (RATES, 0.01, "network"), (replace(RATES, scan_alone_s=1.0), 1e6, "the one program")],
)
def test_what_holds_a_step_back_is_named(rates: Rates, gbit_s: float, held_by: str) -> None:
    assert plan(rates, Cluster(machines=2, cores=2, gbit_s=gbit_s), 1e6)[0].held_by == held_by


def test_machines_and_requests_are_paid() -> None:
    cluster = Cluster(machines=3, dollars_an_hour=2.0, dollars_a_thousand_requests=0.5)
    scan = plan(RATES, cluster, 1e6)[0]
    assert scan.requests == 2e6
    assert scan.dollars(cluster) == pytest.approx(scan.hours * 3 * 2.0 + 2000 * 0.5)


def test_memory_sets_an_end() -> None:
    assert breaks_at(RATES, Cluster(memory_gb=1.0))["the table of photos"] == pytest.approx(1e6)


def test_what_could_not_be_measured_fits_no_number_of_photos() -> None:
    assert "the search for near duplicates" not in breaks_at(replace(RATES, search_bytes=-3.0), Cluster())
