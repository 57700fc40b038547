"""Writes the first inputs of a fuzzer: `python -m fuzz.seeds FOLDER`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from fuzz.corpus import six
from fuzz.variants import pnm, webp
from tests.serving.photos import GREY


def main(folder: Path) -> None:
    """Six small photos, variants of PNM and WebP, a form and an event."""
    folder.mkdir(parents=True, exist_ok=True)
    form = (
        b'--b0undary\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n' + GREY + b"\r\n--b0undary--\r\n"
    )
    event = b'{"requestContext": {"http": {"method": "POST"}}, "rawPath": "/classify", "body": "AA==", "headers": {}}'
    for data in (*six().values(), *pnm().values(), *webp().values(), form, b"\x00" + form, event, b"\x00" + event):
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
