"""Coverage-guided fuzzing of forms and of events with atheris: `python -m fuzz.requests CORPUS [libFuzzer options]`."""

from __future__ import annotations

import json
import sys

import atheris

with atheris.instrument_imports(include=["fledged", "python_multipart"]):
    from fledged.errors import RequestError
    from fledged.serving import uploads

FORM = "multipart/form-data; boundary=b0undary"


def one_input(data: bytes) -> None:
    """Photos, or a refusal with a status: nothing else may come out."""
    provider = atheris.FuzzedDataProvider(data)
    is_free = provider.ConsumeBool()
    content_type = provider.ConsumeBytes(60).decode("latin-1") if is_free else FORM
    body = provider.ConsumeBytes(len(data))
    try:
        for upload in uploads.photos_in(body, content_type):
            json.dumps(upload.name)
    except RequestError as refusal:
        if not 400 <= refusal.status < 500:
            raise


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
