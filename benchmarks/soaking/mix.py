"""What a server is sent in a soak: photos in many forms, and requests that deserve a refusal, each with its due."""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fledged.predicting.predictor import Predictor
from fledged.products import Prediction

MAX_MEGABYTES = 4  # of the server that is soaked: larger requests are cheap to make then
_BOUNDARY = "a-form-of-photos"
_SIZES_PX = (64, 320, 1024, 2400)  # the shorter side


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, the status that it must get, and for photos the offline answers."""

    kind: str
    data: bytes
    status: int
    expected: tuple[Prediction, ...] = ()


@dataclass(frozen=True, slots=True)
class Mix:
    """Requests of which one after the other is drawn, and those that are sent slowly or broken off."""

    good: tuple[Ask, ...]
    bad: tuple[Ask, ...]
    bad_share: float = 0.2

    def draw(self, rng: random.Random) -> Ask:
        """The next one."""
        return rng.choice(self.bad if rng.random() < self.bad_share else self.good)


def make_mix(photos: Sequence[bytes], predictor: Predictor) -> Mix:
    """Of some JPEGs: each in several sizes, formats and ways to send it, with what `predictor` says of it offline."""
    files = {f"{name}": data for at, photo in enumerate(photos) for name, data in _variants(at, photo)}
    offline = {name: predictor.predict(data) for name, data in files.items()}
    good = []
    for name, data in files.items():
        known = (offline[name],)
        kind = name.partition(" ")[0]
        good.append(Ask(f"photo, {kind}, raw", request(data), 200, known))
        good.append(Ask("photo in a form", form([(name, data)]), 200, known))
    names = sorted(name for name in files if name.startswith("320"))
    for at in range(0, len(names) - 2, 3):
        three = names[at : at + 3]
        parts = [(name, files[name]) for name in three]
        good.append(Ask("three photos in a form", form(parts), 200, tuple(offline[name] for name in three)))
    name = names[0]
    good.append(Ask("photo in chunks", chunked(files[name]), 200, (offline[name],)))
    return Mix(tuple(good), tuple(_bad(files[name])))


def request(body: bytes, target: str = "/classify", headers: str = "", method: str = "POST") -> bytes:
    """A whole request with its length."""
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def form(parts: Sequence[tuple[str, bytes]]) -> bytes:
    """A request whose body is a form with these files."""
    body = b""
    for name, data in parts:
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="{name}"\r\n\r\n'
        body += head.encode() + data + b"\r\n"
    body += f"--{_BOUNDARY}--\r\n".encode()
    return request(body, headers=f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n")


def chunked(body: bytes, n_bytes: int = 8192) -> bytes:
    """A request without a length, in chunks."""
    pieces = [body[at : at + n_bytes] for at in range(0, len(body), n_bytes)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    head = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + chunks + b"0\r\n\r\n"


def wrong(ask: Ask, body: bytes, bundle_id: str, tolerance: float) -> str:
    """What is wrong with a 200: nothing, or in words."""
    answer = json.loads(body)
    results = answer.get("results", [answer])
    if len(results) != len(ask.expected):
        return f"{len(results)} answers to {len(ask.expected)} photos"
    for result, known in zip(results, ask.expected, strict=True):
        if "error" in result:
            return f"refused: {result['error']}"
        if result["bundle_id"] != bundle_id:
            return f"of bundle {result['bundle_id']}"
        scores = {entry["label"]: entry["score"] for entry in result["top_k"]}
        if set(scores) != set(known.class_scores):
            return f"classes {sorted(scores)}"
        furthest = max(abs(scores[label] - score) for label, score in known.class_scores.items())
        if furthest > tolerance:
            return f"{furthest:.2e} from the offline answer"
        if (result["label"], result["accepted"]) != (known.label, known.accepted):
            return f"{result['label']} (accepted: {result['accepted']}) instead of {known.label} ({known.accepted})"
    return ""


def _variants(at: int, photo: bytes) -> list[tuple[str, bytes]]:
    """A photo under a name of its own in each size, and now and then in another format."""
    picture = Image.open(io.BytesIO(photo)).convert("RGB")
    found = [(f"as-it-is {at}", photo)]
    for side in _SIZES_PX:
        scale = side / min(picture.size)
        sized = picture.resize([max(1, round(scale * length)) for length in picture.size])
        found.append((f"{side}px {at}", _encoded(sized, "JPEG", quality=88)))
    small = picture.resize((300, 240))
    found.append((f"PNG {at}", _encoded(small, "PNG")))
    found.append((f"WebP {at}", _encoded(small, "WEBP")))
    return found


def _bad(photo: bytes) -> list[Ask]:
    two_lengths = (
        b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    cut = request(b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n' + photo)
    asks = [
        ("not an image", request(b"These are words, no photo. " * 200), 415),
        ("random bytes", request(random.Random(5).randbytes(20_000)), 415),
        ("truncated photo", request(photo[: len(photo) // 3]), 422),
        ("bomb: 30,000 x 30,000 in a small PNG", request(_forged(30_000, 30_000)), 422),
        ("bomb: 12,000 x 9,000 of one bit", request(_encoded(Image.new("1", (12_000, 9_000)), "PNG")), 422),
        ("too large", request(photo + bytes(MAX_MEGABYTES * 2**20)), 413),
        (
            "too large, asks first",
            request(b"", headers="Expect: 100-continue\r\n").replace(b": 0\r", b": 99999999\r"),
            413,
        ),
        ("empty", request(b""), 400),
        (
            "form without a file",
            request(b"--x--\r\n", headers="Content-Type: multipart/form-data; boundary=x\r\n"),
            400,
        ),
        ("form without a boundary", request(photo, headers="Content-Type: multipart/form-data\r\n"), 400),
        ("form cut short", cut.replace(b"\r\n", b"\r\nContent-Type: multipart/form-data; boundary=x\r\n", 1), 400),
        ("wrong method", request(b"", method="DELETE"), 405),
        ("wrong path", request(b"", "/no-such-page", method="GET"), 404),
        ("wrong query", request(photo, "/classify?top_k=many"), 400),
        ("two lengths", two_lengths + b"0\r\n\r\n", 400),
        ("another name", request(photo).replace(b"localhost", b"evil.example", 1), 421),
        ("another site's page", request(photo, headers="Origin: https://evil.example\r\n"), 403),
        ("no HTTP", bytes(range(256)) * 4, 400),
    ]
    return [Ask(kind, data, status) for kind, data, status in asks]


def _forged(width: int, height: int) -> bytes:
    """A PNG whose head promises many pixels."""
    data = bytearray(_encoded(Image.fromarray(np.zeros((8, 8, 3), np.uint8)), "PNG"))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def _encoded(picture: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()
