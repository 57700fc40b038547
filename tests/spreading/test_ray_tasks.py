"""Work on Ray: order, workers that are killed, photos that kill them, and machines that are unfit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fledged
from fledged.engine import Engine, map_photos
from fledged.errors import EngineError
from fledged.progress import silent
from tests.spreading.deeds import refuse, square_or_die, wait_and_square


def crashed(item: object) -> int:
    return -1


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    delays=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.004]), max_size=90), workers=st.sampled_from([0, 1, 2, 4])
)
def test_results_are_the_same_whoever_is_first(ray_engine: Engine, delays: list[float], workers: int) -> None:
    on = replace(ray_engine, workers=workers)
    found = list(map_photos(wait_and_square, list(enumerate(delays)), crashed, on, "square", silent))
    assert found == [n * n for n in range(len(delays))]


def test_no_more_is_in_flight_than_a_few_batches_a_worker(ray_engine: Engine) -> None:
    from fledged.engine import map_batches
    from fledged.spreading.jobs import Each

    taken = itertools.count()
    batches: Iterator[list[int]] = ([next(taken)] for _ in range(1000))
    job: Each[int, int] = Each(abs)
    answers = map_batches(job, batches, crashed, replace(ray_engine, workers=1))
    assert [list(next(answers)) for _ in range(3)] == [[0], [1], [2]]
    assert next(taken) < 20
    answers.close()  # type: ignore[attr-defined]


def test_a_worker_that_is_killed_once_costs_nothing(ray_engine: Engine, tmp_path: Path) -> None:
    items = [(n, "") for n in range(40)]
    items[21] = (21, str(tmp_path / "killed before"))
    assert list(map_photos(square_or_die, items, crashed, ray_engine, "square", silent)) == [n * n for n in range(40)]
    assert (tmp_path / "killed before").exists()


def test_a_photo_that_kills_its_workers_is_named_and_the_others_are_answered(
    ray_engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    on = replace(ray_engine, settings=ray_engine.settings.model_copy(update={"retries": 1}))
    items = [(n, "poison" if n == 5 else "") for n in range(20)]
    found = list(map_photos(square_or_die, items, crashed, on, "square", silent))
    assert found == [n * n if n != 5 else -1 for n in range(20)]
    assert capfd.readouterr().err == ""


def test_what_the_function_raises_is_raised_here(ray_engine: Engine) -> None:
    with pytest.raises(ValueError, match="3 is refused"):
        list(map_photos(refuse, [3], crashed, ray_engine, "refuse", silent))


@pytest.mark.parametrize("is_there", [True, False])
def test_a_machine_that_does_not_see_the_photos_is_told_in_one_line(
    ray_engine: Engine, tmp_path: Path, is_there: bool
) -> None:
    folder = tmp_path / "shared disk"
    if is_there:
        folder.mkdir()  # where nothing is mounted
    with pytest.raises(EngineError, match=r"^The machine \S+ of the cluster does not see the photos \(.*shared disk\)"):
        list(map_photos(abs, [1, 2], crashed, replace(ray_engine, sees=str(folder)), "look", silent))


def test_a_machine_with_another_fledged_is_told_in_one_line(
    ray_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fledged, "__version__", "9.9.9")
    with pytest.raises(EngineError, match=r"has fledged 0\.\S+, and this one 9\.9\.9\. Install fledged==9\.9\.9"):
        list(map_photos(abs, [1, 2], crashed, ray_engine, "look", silent))
