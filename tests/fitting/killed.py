"""Run by torchrun, in two processes: one training that ends, and one in which the second process is killed midway."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from fledged.cli import main
from fledged.fitting import loop

KILLED_AT = 7  # steps of the second training


def die_at(number: int) -> None:
    real, taken = loop.step, 0

    def step(*args: Any) -> Any:
        nonlocal taken
        taken += 1
        if taken == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)

    loop.step = step  # type: ignore[assignment]


if __name__ == "__main__":
    whole, killed, *flags = sys.argv[1:]
    for work in (whole, killed):
        sys.argv = ["fledged", "train", *flags, "--work", work]
        if work == killed and os.environ["RANK"] == "1":
            die_at(KILLED_AT)
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
