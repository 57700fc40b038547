"""The photos in a request: a body of bytes, taken apart in memory. Nothing is ever written to the disk."""

from __future__ import annotations

from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from fledged.errors import RequestError

MAX_PHOTOS = 100

# Of a body that is too large, this many times the limit is still read and dropped: closing the connection while the
# client is sending would reset it, and the client would never see the answer.
_DROPPED = 4

_HOW = "POST the photo itself, or a multipart form: curl -F file=@photo.jpg URL"


@dataclass(frozen=True, slots=True)
class Upload:
    """One photo as it came."""

    name: str | None  # as the client calls it, never used as a path
    data: bytes


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Raises RequestError (413) if it is larger, whether or not its length was declared."""
    too_large = RequestError(
        f"The request is larger than the limit of {max_bytes / 2**20:g} MB",
        status=413,
        remedy="Send a smaller photo; whoever runs the server can raise serve.max_megabytes.",
    )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes and "expect" in request.headers:
        raise too_large  # curl asks before it sends much
    body = (
        bytearray()
    )  # and no list of chunks: of one byte each, they took 123 times as much memory as there were bytes
    n_bytes = 0
    async for chunk in request.stream():
        n_bytes += len(chunk)
        if n_bytes <= max_bytes:
            body += chunk
        else:
            body.clear()
        if n_bytes > _DROPPED * max_bytes:
            break
    if n_bytes > max_bytes:
        raise too_large
    return bytes(body)


def photos_in(body: bytes, content_type: str) -> list[Upload]:
    """The photos of a multipart form, whatever their fields are called, or else the body as one photo.

    Raises RequestError (400) if there is none.
    """
    kind, options = parse_options_header(content_type)
    uploads = _parts(body, options.get(b"boundary", b"")) if kind == b"multipart/form-data" else [Upload(None, body)]
    if not uploads:
        raise RequestError("The form holds no file", status=400, remedy=_HOW)
    if len(uploads) > MAX_PHOTOS:
        remedy = "Send the others in a request of their own."
        raise RequestError(f"More than {MAX_PHOTOS} photos in one request", status=400, remedy=remedy)
    if uploads == [Upload(None, b"")]:
        raise RequestError("The request is empty", status=400, remedy=_HOW)
    return uploads


class _Collector:
    """Gathers the parts of a form as the parser comes across them."""

    def __init__(self) -> None:
        self.uploads: list[Upload] = []
        self.n_parts = 0
        self.is_complete = False
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._pieces: list[bytes] = []

    def on_part_begin(self) -> None:
        self.n_parts += 1
        if self.n_parts > 10 * MAX_PHOTOS:
            raise FormParserError("too many parts")
        self._headers, self._pieces = {}, []

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def on_part_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"filename")
        is_photo = name is not None or self._headers.get(b"content-type", b"").startswith(b"image/")
        data = b"".join(self._pieces)
        # Browsers send a nameless empty part for a file field that was left empty.
        if is_photo and (name or data):
            self.uploads.append(Upload(_text(name) if name else None, data))

    def on_end(self) -> None:
        self.is_complete = True


def _parts(body: bytes, boundary: bytes) -> list[Upload]:
    found = _Collector()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": found.on_part_begin,
                "on_header_field": found.on_header_field,
                "on_header_value": found.on_header_value,
                "on_header_end": found.on_header_end,
                "on_part_data": found.on_part_data,
                "on_part_end": found.on_part_end,
                "on_end": found.on_end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestError("The multipart form is malformed", status=400, remedy=_HOW) from error
    if not found.is_complete:
        raise RequestError("The multipart form is cut short or malformed", status=400, remedy=_HOW)
    return found.uploads


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
