"""Coverage-guided fuzzing of the function on AWS Lambda with atheris: `python -m fuzz.events CORPUS [options]`."""

from __future__ import annotations

import base64
import copy
import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

from tests.bundles import make_tiny_bundle
from tests.events import event

_FOLDER = tempfile.TemporaryDirectory()
os.environ["FLEDGED_BUNDLE"] = str(make_tiny_bundle(Path(_FOLDER.name)).folder)
with atheris.instrument_imports(include=["fledged.serving", "mangum"]):
    _function = importlib.import_module("fledged.serving.function")

_VALUES: tuple[Any, ...] = (None, 0, -1, 1.5, True, "", "\0", "é" * 9, [], ["a"], {}, {"a": None}, "=", "====", "%%%")


def one_input(data: bytes) -> None:
    """An answer with a status, whatever the event is."""
    provider = atheris.FuzzedDataProvider(data)
    given: Any = _changed(provider) if provider.ConsumeBool() else _parsed(provider)
    answer = _function.handler(given, None)
    if not 200 <= answer["statusCode"] < 500 or not isinstance(answer["body"], str):
        raise AssertionError(answer)
    if answer["isBase64Encoded"]:
        base64.b64decode(answer["body"], validate=True)


def _parsed(provider: atheris.FuzzedDataProvider) -> Any:
    try:
        return json.loads(provider.ConsumeUnicodeNoSurrogates(4096))
    except (ValueError, RecursionError):
        return None


def _changed(provider: atheris.FuzzedDataProvider) -> Any:
    """An event as AWS sends them, of which some fields are not."""
    kind = provider.PickValueInList(["url", "http_api", "rest_api"])
    path = "/" + provider.ConsumeUnicodeNoSurrogates(20)
    method = provider.PickValueInList(["GET", "POST", "HEAD", "OPTIONS", "DELETE"])
    made = event(kind, method, path, provider.ConsumeBytes(64))
    for _ in range(provider.ConsumeIntInRange(0, 3)):
        place = made
        while isinstance(place, dict) and place:
            key = provider.PickValueInList(sorted(place))
            if not isinstance(place[key], dict) or not place[key] or provider.ConsumeBool():
                place[key] = copy.deepcopy(provider.PickValueInList(list(_VALUES)))
                break
            place = place[key]
    return made


if __name__ == "__main__":
    with Path(os.devnull).open("w") as sys.stderr:  # a line of the function's log for each event
        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()
