"""Batches as tasks on a Ray cluster: in order, a few in flight, and none lost with its worker or its machine.

Tasks of Ray's core, and neither Ray Data nor actors. A batch that is lost must be begun anew by itself, and the photo
that killed its worker be found; Ray Data fails or drops a block as a whole. An actor whose machine is gone waits for a
place to start again; a task goes to whoever is there, also to machines that join later. A process opens a job's model
once and keeps it, as an actor would.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

import fledged
from fledged.errors import EngineError
from fledged.settings.engine import EngineConfig
from fledged.spreading.jobs import Job
from fledged.spreading.ray_cluster import connected
from fledged.spreading.workplace import folder_here

_LOG = logging.getLogger("fledged")

Item = TypeVar("Item")
Result = TypeVar("Result")

_TASKS_A_CORE = 2  # one in work and one that waits at the core's door
_TASK_S = 0.3  # a task by itself costs Ray 3 to 4 ms: as many batches go into one as keep a core busy for so long
_MOST_BATCHES = 64  # of one task
_DONE_AHEAD = 4  # times as many may be finished and wait for an earlier one
_LOOK_EVERY_S = 5.0  # at how many cores there are: machines come and go
_PAUSE_S = 0.5  # between two attempts of a photo by itself: a machine that dies takes a moment
_WAITING_S = 60.0


class _Lost(Exception):
    """A batch whose worker was killed each time."""


@dataclass(slots=True)
class _Slot(Generic[Item, Result]):
    """The place of a task in the order: some batches, and their answers."""

    batches: Sequence[Sequence[Item]]
    n_lost: int = 0
    answers: Sequence[Sequence[Result]] | None = None


def in_tasks(
    job: Job[Item, Result],
    batches: Iterable[Sequence[Item]],
    on_crash: Callable[[Item], Result],
    settings: EngineConfig,
    limits: tuple[int, str],
) -> Iterator[Sequence[Result]]:
    """The job's answers, batch by batch, in order. `limits`: how many at once (0: all cores), the folder to be seen.

    A task that lost its worker is begun anew; after that, its batches are tried one by one, then the items of a batch:
    `on_crash` answers for those that kill their worker again and again, the others are run as a batch without them.
    Raises EngineError where no cluster can be had or a machine of it is unfit, and what the job raises.
    """
    upcoming = iter(batches)
    if (first := next(upcoming, None)) is None:
        return
    crew = _Crew(job, on_crash, settings, limits)
    slots: deque[_Slot[Item, Result]] = deque()
    try:
        ahead = [first]
        while ahead or slots:
            while ahead and crew.has_room(len(slots)):
                slots.append(_Slot([*ahead, *islice(upcoming, crew.n_batches - 1)]))
                crew.begin(slots[-1])
                ahead = list(islice(upcoming, 1))
            while slots and (answers := slots[0].answers) is not None:
                slots.popleft()
                yield from answers
            if slots:
                crew.settle_some()
    finally:  # also after Ctrl-C, and where nobody wants the rest
        crew.dismiss()


class _Crew(Generic[Item, Result]):
    """The tasks that are under way."""

    def __init__(
        self,
        job: Job[Item, Result],
        on_crash: Callable[[Item], Result],
        settings: EngineConfig,
        limits: tuple[int, str],
    ) -> None:
        self._ray = connected(settings)
        self._job = self._ray.put(job)
        self._on_crash = on_crash
        self._settings = settings
        self._workers, self._sees = limits
        self._folder = folder_here()
        # Ray's own retries are off: they would begin a photo that eats all memory anew for ever.
        self._task = self._ray.remote(_task()).options(num_cpus=1, max_retries=0)
        self._under_way: dict[Any, _Slot[Item, Result]] = {}
        self._limit, self._looked_s = 0, -_LOOK_EVERY_S
        self._moved_s = time.monotonic()
        self.n_batches = 1  # that go into a task

    def has_room(self, n_slots: int) -> bool:
        """Whether another task may begin."""
        if time.monotonic() - self._looked_s >= _LOOK_EVERY_S:
            n_cores = int(self._ray.cluster_resources().get("CPU", 0))
            self._limit, self._looked_s = self._workers or _TASKS_A_CORE * max(1, n_cores), time.monotonic()
        return len(self._under_way) < self._limit and n_slots < _DONE_AHEAD * self._limit

    def begin(self, slot: _Slot[Item, Result]) -> None:
        """Send a task on its way."""
        self._under_way[self._send(slot.batches)] = slot

    def settle_some(self) -> None:
        """Wait until a task is over, and take what is; lost ones are begun anew."""
        ready, _ = self._ray.wait(list(self._under_way), num_returns=1, timeout=_LOOK_EVERY_S)
        if ready:
            self._moved_s = time.monotonic()
        elif time.monotonic() - self._moved_s > _WAITING_S:
            _LOG.warning("For a minute no machine of the cluster has finished anything: see `ray status`")
            self._moved_s = time.monotonic()
        for reference in ready:
            slot = self._under_way.pop(reference)
            try:
                slot.answers, seconds = self._answers(reference)
                fitting = int(_TASK_S * len(slot.batches) / max(seconds, 1e-6))
                self.n_batches = max(1, min(fitting, 2 * self.n_batches, _MOST_BATCHES))
            except _Lost:
                slot.n_lost += 1
                if slot.n_lost <= self._settings.retries:
                    self.begin(slot)
                else:
                    slot.answers = self._batch_by_batch(slot.batches)

    def dismiss(self) -> None:
        """Let go of what nobody waits for any more."""
        if self._ray.is_initialized():
            for reference in self._under_way:
                self._ray.cancel(reference)
        self._under_way.clear()

    def _send(self, batches: Sequence[Sequence[Item]]) -> Any:
        # In a list, so that the job itself goes only to processes that do not have it yet.
        return self._task.remote(fledged.__version__, [self._job], batches, self._sees, self._folder)

    def _answers(self, reference: Any) -> tuple[Sequence[Sequence[Result]], float]:
        """The answers to each of the task's batches, and the seconds that they took where they were found."""
        try:
            machine, version, answers, seconds = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if "No module named 'fledged" in str(error):  # what was sent along cannot be read there
                raise _unfit("A machine of the cluster", "no or another fledged") from error
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except self._ray.exceptions.RayError as error:  # its process, its machine or its result is gone
            raise _Lost from error
        if version != fledged.__version__:
            raise _unfit(f"The machine {machine}", f"fledged {version}" if version else "no fledged")
        if answers is None:
            raise EngineError(
                f"The machine {machine} of the cluster does not see the photos",
                where=self._sees,
                remedy="Put them where all machines see them: on a disk that is mounted everywhere under this path.",
            )
        found: Sequence[Sequence[Result]] = answers
        return found, seconds

    def _batch_by_batch(self, batches: Sequence[Sequence[Item]]) -> Sequence[Sequence[Result]]:
        """The answers of a task with an item that kills its worker."""
        living = self._each_tried(batches) if len(batches) > 1 else {}
        return [living[place] if place in living else self._one_by_one(batch) for place, batch in enumerate(batches)]

    def _one_by_one(self, batch: Sequence[Item]) -> Sequence[Result]:
        """The answers of a batch with an item that kills its worker; the others as if it had not been there."""
        alone = self._each_tried([batch[place : place + 1] for place in range(len(batch))]) if len(batch) > 1 else {}
        living = sorted(alone)
        together = self._each_tried([[batch[place] for place in living]]).get(0) if living else None
        by_place = dict(zip(living, together, strict=True)) if together is not None else {}
        return [
            by_place.get(place, alone[place][0]) if place in alone else self._on_crash(batch[place])
            for place in range(len(batch))
        ]

    def _each_tried(self, batches: Sequence[Sequence[Item]]) -> dict[int, Sequence[Result]]:
        """The answers by place, each batch on its own; without those that killed their worker in each attempt."""
        answers: dict[int, Sequence[Result]] = {}
        for attempt in range(self._settings.retries + 1):
            time.sleep(_PAUSE_S * bool(attempt))
            sent = {place: self._send([batch]) for place, batch in enumerate(batches) if place not in answers}
            for place, reference in sent.items():
                with suppress(_Lost):
                    (answers[place],), _ = self._answers(reference)
            if len(answers) == len(batches):
                break
        return answers


def _task() -> Callable[..., tuple[str, str, Any, float]]:
    """What a worker runs. Pickled by value, so that it can tell of a machine without fledged, or with another one."""

    def task(version: str, job: list[Any], batches: Any, sees: str, folder: str) -> tuple[str, str, Any, float]:
        import socket
        import time

        machine = socket.gethostname()
        try:
            import fledged
        except ImportError:
            return machine, "", None, 0.0
        if fledged.__version__ != version:
            return machine, fledged.__version__, None, 0.0
        from fledged.spreading.ray_worker import run_batches

        began_s = time.monotonic()
        return machine, version, run_batches(job[0], batches, sees, folder), time.monotonic() - began_s

    return task


def _unfit(who: str, has: str) -> EngineError:
    return EngineError(
        f"{who} has {has}, and this one {fledged.__version__}",
        remedy=f"Install fledged=={fledged.__version__} on all of its machines.",
    )
