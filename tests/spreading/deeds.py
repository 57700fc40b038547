"""What workers do in these tests: in a module of its own, so that worker processes can import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def wait_and_square(number_and_delay: tuple[int, float]) -> int:
    """The square, after the delay in seconds."""
    number, delay_s = number_and_delay
    time.sleep(delay_s)
    return number * number


def square_or_die(number_and_marker: tuple[int, str]) -> int:
    """The square; dies without a word at "poison", and once only where the marker is a file that is not there."""
    number, marker = number_and_marker
    if marker == "poison" or (marker and not Path(marker).exists()):
        if marker != "poison":
            Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def refuse(number: int) -> int:
    """Raises ValueError."""
    raise ValueError(f"{number} is refused")
