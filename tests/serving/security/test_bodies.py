"""Bodies and headers that lie, never end or are too much: each is answered 4xx or cut off, the next one answered."""

from __future__ import annotations

import gzip

import pytest

from tests.serving.photos import jpeg
from tests.serving.security.asking import check_alive, statuses, told

GROUP = "Bodies and headers"
HEAD = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
FORM = HEAD + b"Content-Type: multipart/form-data; boundary=x\r\n"
PART = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n\r\n'
MB = 2**20


def sized(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

# What is sent, and the statuses that may come back first; 0 is a connection that is closed without a word.
CASES: dict[str, tuple[bytes, set[int]]] = {
    "B01 Content-Length promises more than comes": (HEAD + b"Content-Length: 1000\r\n\r\nshort", {408}),
    "B02 Content-Length promises less than comes": (HEAD + b"Content-Length: 4\r\n\r\n" + jpeg(), {415, 422}),
    "B03 a negative Content-Length": (HEAD + b"Content-Length: -1\r\n\r\n", {400}),
    "B04 a Content-Length in words": (HEAD + b"Content-Length: many\r\n\r\n", {400}),
    "B05 two Content-Lengths that differ": (HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nwords", {400}),
    "B06 Content-Length 10^30": (HEAD + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n", {400, 408, 413}),
    "B07 a chunk whose size is no number": (CHUNKED + b"many\r\n", {400}),
    "B08 a chunk that is longer than it says": (CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n", {400}),
    "B09 a chunk of 2^64 bytes": (CHUNKED + b"ffffffffffffffff\r\nabc", {400, 408, 413}),
    "B10 chunks without an end": (CHUNKED + chunk(b"x"), {408}),
    "B11 chunks of more than the limit": (CHUNKED + chunk(b"\xff" * 3 * MB) + b"0\r\n\r\n", {413}),
    "B12 a body of more than the limit": (sized(HEAD, b"\xff" * 3 * MB), {413}),
    "B13 asks first with Expect: 100-continue": (
        HEAD + b"Content-Length: 900000000\r\nExpect: 100-continue\r\n\r\n",
        {413},
    ),
    "B14 a gzip bomb as Content-Encoding is not unpacked": (
        sized(HEAD + b"Content-Encoding: gzip\r\n", gzip.compress(bytes(100 * MB))),
        {415},
    ),
    "B15 a Transfer-Encoding that is not known": (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", {400, 501}),
    "B16 Transfer-Encoding with a space before the colon": (
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        {400},
    ),
    "B17 1001 parts": (sized(FORM, (PART + b"1\r\n") * 1001 + b"--x--\r\n"), {400}),
    "B18 1001 fields that are no files": (
        sized(FORM, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 1001 + b"--x--\r\n"),
        {400},
    ),
    "B19 a header of a part of 1 MB": (
        sized(FORM, b"--x\r\nContent-Disposition: " + b"a" * MB + b"\r\n\r\n1\r\n--x--\r\n"),
        {400, 415},
    ),
    "B20 a file's name of 1 MB": (
        sized(FORM, PART.replace(b"a.jpg", b"a" * MB) + b"words\r\n--x--\r\n"),
        {400, 415},
    ),
    "B21 a form without a boundary": (sized(HEAD + b"Content-Type: multipart/form-data\r\n", jpeg()), {400}),
    "B22 a boundary of 20 kB": (
        sized(HEAD + b"Content-Type: multipart/form-data; boundary=" + b"x" * 20_000 + b"\r\n", jpeg()),
        {400},
    ),
    "B23 a form in a form": (
        sized(
            FORM,
            PART.replace(b"\r\n\r\n", b"\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n")
            + b"1\r\n--y--\r\n--x--\r\n",
        ),
        {400, 415},
    ),
    "B24 a form that is cut off": (sized(FORM, PART + jpeg()), {400}),
    "B25 a zero byte in the name of a part's header": (
        sized(FORM, b"--x\r\nContent\x00-Disposition: form-data\r\n\r\n1\r\n--x--\r\n"),
        {400},
    ),
    "B26 a header of 1 MB": (HEAD + b"X: " + b"a" * MB + b"\r\n\r\n", {400, 431}),
    "B27 100,000 headers": (HEAD + b"X: 1\r\n" * 100_000 + b"\r\n", {400, 431}),
    "B28 a path of 1 MB": (b"GET /" + b"a" * MB + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 414, 404}),
    "B29 no HTTP at all": (bytes(range(256)) * 40, {400}),
    "B30 a TLS greeting": (bytes.fromhex("16030100c8010000c40303") + bytes(200), {400}),
    "B31 the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 404, 405, 421}),
    "B32 a header that ends and begins another by a lone newline": (
        sized(HEAD + b"X: a\nContent-Length: 5\r\n", b""),
        {400},
    ),
    "B33 no Host": (b"GET /livez HTTP/1.1\r\n\r\n", {400}),
    "B34 two Hosts": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", {400}),
    "B36 a photo in chunks of one byte": (
        CHUNKED + b"".join(chunk(bytes([byte])) for byte in jpeg()) + b"0\r\n\r\n",
        {200},
    ),
    "B37 50,000 chunks of one byte": (CHUNKED + chunk(b"\xff") * 50_000 + b"0\r\n\r\n", {408, 415, 422}),
}


@pytest.mark.parametrize("case", CASES)
def test_bodies(safe_url: str, case: str) -> None:
    data, expected = CASES[case]
    answer = told(safe_url, data)
    first = [status for status in statuses(answer) if status != 100][:1]
    assert set(first or [0]) <= expected | {0}, answer[:300]
    assert first or len(data) > MB, "only who sends very much may be cut off without a word"
    assert b"Traceback" not in answer
    check_alive(safe_url)


def test_a_request_behind_a_lie_is_never_taken_for_a_new_one(safe_url: str) -> None:
    """B35 Content-Length and Transfer-Encoding with a second request behind (smuggling)"""
    smuggled = b"GET /model HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = HEAD.replace(b"Connection: close\r\n", b"")
    both = head + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (len(smuggled) + 5)
    answer = told(safe_url, both + smuggled)
    assert statuses(answer) == [400]
    assert b'"preprocess"' not in answer
