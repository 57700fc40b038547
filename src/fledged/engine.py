"""Where work over photos is done, and that its results come in order: this machine's cores, or a Ray cluster.

What a photo's result is depends on neither, nor on how many workers there are and which of them is first: functions
are of one photo, and batches are cut where the caller cuts them. Nothing of Ray is imported unless it is chosen.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fledged import places
from fledged.config import resolve
from fledged.errors import ConfigError, MissingExtra
from fledged.progress import Report
from fledged.settings.engine import EngineConfig
from fledged.spreading.jobs import Each, Job
from fledged.spreading.workplace import quiet_pillow

Item = TypeVar("Item")
Result = TypeVar("Result")

# Starting processes costs about half a second: not worth it below this many photos.
_SERIAL_BELOW = 64
_CHUNK = 16


@dataclass(frozen=True, slots=True)
class Engine:
    """Who works: the settings, how many at once, and what each of them must see."""

    settings: EngineConfig = field(default_factory=EngineConfig)
    workers: int = 0  # at the same time; 0 is one a core of the machine or cluster
    sees: str = ""  # the folder with the photos, which every machine must see; "" if there is none

    def at(self, lake: str, workers: int = 0) -> Engine:
        """The same for photos of this lake: of one behind an address no machine has to see a folder."""
        sees = "" if places.is_remote(lake) else lake
        return replace(self, workers=places.n_workers(lake, workers), sees=sees)

    @property
    def is_here(self) -> bool:
        """Whether it is this machine by itself."""
        return self.settings.name == "local"


LOCAL = Engine()


def engine_of(given: Mapping[str, object] | None) -> Engine:
    """The engine of a verb: `fledged.toml`, overlaid with what was given; None is not given.

    Raises ConfigError for an address of nothing, MissingExtra where Ray is chosen and not installed.
    """
    settings = resolve(EngineConfig, given or {})
    if settings.name == "local" and (given or {}).get("address"):
        raise ConfigError("An address is that of a Ray cluster", where="--address", remedy="Add --engine ray.")
    if settings.name == "ray" and importlib.util.find_spec("ray") is None:
        raise MissingExtra("ray", "ray")
    return Engine(settings)


def n_workers(wanted: int) -> int:
    """`wanted`, or one a core that this process may use."""
    return wanted or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else wanted or os.cpu_count() or 1


def map_photos(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    on_crash: Callable[[Item], Result],
    on: Engine,
    step: str,
    report: Report,
) -> Iterator[Result]:
    """`function` of each item, in order. `on_crash` answers for an item that killed its worker process.

    `function` must be importable (a module's function, or functools.partial of one). At most a few chunks a worker are
    in flight, so memory does not grow with the number of items.
    """
    report(step, 0, len(items))
    done = 0
    for results in _mapped(function, items, on_crash, on):
        for result in results:
            yield result
            done += 1
        report(step, done, len(items))


def map_batches(
    job: Job[Item, Result], batches: Iterable[Sequence[Item]], on_crash: Callable[[Item], Result], on: Engine
) -> Iterator[Sequence[Result]]:
    """The job's answers, batch by batch, in order: in this process' threads, or on a cluster.

    There, `on_crash` answers for an item that killed its worker process; its batch is run without it.
    """
    if on.is_here:
        from fledged.spreading.here import in_threads

        return in_threads(job, batches, n_workers(on.workers))
    from fledged.spreading.ray_tasks import in_tasks

    return in_tasks(job, batches, on_crash, on.settings, (on.workers, on.sees))


def _mapped(
    function: Callable[[Item], Result], items: Sequence[Item], on_crash: Callable[[Item], Result], on: Engine
) -> Iterator[Sequence[Result]]:
    chunks = (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
    if not on.is_here:
        return map_batches(Each(function), chunks, on_crash, on)
    workers = n_workers(on.workers)
    if len(items) < _SERIAL_BELOW or workers == 1:
        return _in_this_process(function, items)
    from fledged.spreading.here import in_processes

    return in_processes(function, chunks, on_crash, workers)


def _in_this_process(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[list[Result]]:
    for item in items:
        with quiet_pillow():
            result = function(item)
        yield [result]
