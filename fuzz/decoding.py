"""Coverage-guided fuzzing of images.py with atheris: `python -m fuzz.decoding CORPUS [libFuzzer options]`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["fledged", "PIL"]):
    from fledged import images
    from fledged.contract import Preprocess

_HOW = Preprocess(size_px=32, resize="squash", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def one_input(data: bytes) -> None:
    """A photo, or a reason: nothing else may come out."""
    try:
        made = images.model_input(data, _HOW)
    except (images.BadPhoto, images.NotAPhoto):
        return
    if made.shape != (32, 32, 3):
        raise AssertionError(made.shape)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
