"""What runs in Ray's worker processes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from fledged.spreading.jobs import Job
from fledged.spreading.workplace import quiet_pillow

if TYPE_CHECKING:
    import ray

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_batches(
    job: ray.ObjectRef[Job[Item, Result]], batches: Sequence[Sequence[Item]], sees: str, folder: str
) -> list[Sequence[Result]] | None:
    """The job's answers for each batch; None where this machine does not see the folder `sees`."""
    if sees and not _is_seen(sees):
        return None
    with suppress(OSError):  # relative paths mean something only where the caller's folder is there as well
        os.chdir(folder)
    with quiet_pillow():
        run = _opened(job)
        return [run(batch) for batch in batches]


@functools.lru_cache(maxsize=2)
def _opened(job: ray.ObjectRef[Any]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A process lives on from batch to batch, and opens its model once."""
    import ray

    fetched: Job[Any, Any] = ray.get(job)
    fetched.enter()
    return fetched.open()


def _is_seen(folder: str) -> bool:
    """Whether it is there with something in it: the place where a shared disk should be may be an empty folder."""
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except OSError:
        return False
