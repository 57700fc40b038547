"""Files of tensors that fledged wrote, opened again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError

from fledged.writing import unreadable

Tensors = TypeVar("Tensors")


def tensors_of(load: Callable[[Path], Tensors], path: Path) -> Tensors:
    """What `load_file` of safetensors makes of a file whose hash was right a moment ago. Raises WorkspaceError."""
    try:
        return load(path)
    except (OSError, RuntimeError, SafetensorError) as error:  # whichever it takes for a disk that fails
        raise unreadable(path, error) from error
