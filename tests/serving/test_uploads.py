from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from starlette.requests import Request
from starlette.types import Message

from fledged.errors import RequestError
from fledged.serving.uploads import MAX_PHOTOS, Upload, photos_in, read_body

FORM = "multipart/form-data; boundary=x"


def _form(*parts: tuple[str, bytes]) -> bytes:
    return b"".join(b"--x\r\n%s\r\n\r\n%s\r\n" % (head.encode(), data) for head, data in parts) + b"--x--\r\n"


def _named(name: str) -> str:
    return f'Content-Disposition: form-data; name="file"; filename="{name}"'


@pytest.mark.parametrize("kind", ["", "image/png", "multipart/mixed; boundary=x"])
def test_a_body_that_is_no_form_is_one_photo(kind: str) -> None:
    assert photos_in(b"--x\r\nbytes", kind) == [Upload(None, b"--x\r\nbytes")]


def test_files_are_taken_from_a_form_and_fields_are_not() -> None:
    body = _form(
        (_named("a.jpg"), b"one"),
        ('Content-Disposition: form-data; name="note"', b"text"),
        ('content-disposition: form-data; name="b"\r\ncontent-type: image/png', b"two"),
        (_named("../../etc/naïve.jpg"), b"th\r\n--ree"),
        (_named(""), b""),
    )
    names = [upload.name for upload in photos_in(body, FORM)]
    assert names == ["a.jpg", None, "../../etc/naïve.jpg"]
    assert [upload.data for upload in photos_in(body, FORM)] == [b"one", b"two", b"th\r\n--ree"]


def test_a_name_that_is_not_utf8_is_kept_as_latin1() -> None:
    body = _form((_named("a.jpg"), b"one")).replace(b"a.jpg", b"caf\xe9.jpg")
    assert photos_in(body, FORM)[0].name == "café.jpg"


def test_every_cut_of_a_form_is_refused() -> None:
    body = _form((_named("a.jpg"), b"one"))
    for length in range(len(body) - len(b"--\r\n")):
        with pytest.raises(RequestError) as caught:
            photos_in(body[:length], FORM)
        assert caught.value.status == 400


def test_too_many_photos_are_refused() -> None:
    parts = [(_named(f"{number}.jpg"), b"data") for number in range(MAX_PHOTOS + 1)]
    assert len(photos_in(_form(*parts[1:]), FORM)) == MAX_PHOTOS
    with pytest.raises(RequestError, match=f"More than {MAX_PHOTOS}"):
        photos_in(_form(*parts), FORM)


def test_a_body_in_tiny_chunks_takes_little_more_memory_than_in_one() -> None:
    n_bytes = 200_000
    left = n_bytes

    async def receive() -> Message:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": bytes(bytearray([left % 256])), "more_body": left > 0}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    tracemalloc.start()
    try:
        body = asyncio.run(read_body(request, 2**20))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(body) == n_bytes
    assert peak_bytes < 8 * n_bytes  # 4 times, and a list of them 123 times
