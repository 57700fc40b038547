"""What AWS Lambda calls: events in, the answers of the app out, whatever the event is."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fledged.errors import ConfigError
from fledged.predicting.predictor import Predictor
from fledged.products import Bundle
from tests.events import KINDS, event
from tests.serving.photos import jpeg

Handler = Callable[[Any, Any], dict[str, Any]]
FORM = "multipart/form-data; boundary=b0undary"


@pytest.fixture(scope="module")
def handler(bundle: Bundle) -> Iterator[Handler]:
    """The handler, imported as Lambda imports it."""
    # Mangum takes the thread's event loop, or makes one that nobody would close.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLEDGED_BUNDLE", str(bundle.folder))
        module = importlib.reload(importlib.import_module("fledged.serving.function"))
    yield module.handler
    asyncio.set_event_loop(None)
    loop.close()


def form_of(data: bytes, name: str = "a.jpg") -> bytes:
    head = f'--b0undary\r\nContent-Disposition: form-data; name="any"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--b0undary--\r\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_form", [False, True], ids=["raw", "form"])
def test_a_photo_is_answered_as_by_the_predictor(
    handler: Handler, predictor: Predictor, kind: str, is_form: bool
) -> None:
    photo = jpeg("blue")
    ours = predictor.predict(photo)
    body, content_type = (form_of(photo), FORM) if is_form else (photo, "image/jpeg")
    answer = handler(event(kind, "POST", "/classify", body, {"content-type": content_type}, "top_k=2"), None)
    told = json.loads(answer["body"])
    assert answer["statusCode"] == 200
    assert (told["predicted"], told["bundle_id"]) == ("blue", predictor.bundle.id)
    assert [(entry["label"], entry["score"]) for entry in told["top_k"]] == [
        (entry.label, entry.score) for entry in ours.top_k[:2]
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_and_its_files_come_as_they_are(handler: Handler, kind: str) -> None:
    page = handler(event(kind, "GET", "/"), None)
    assert page["statusCode"] == 200
    text = base64.b64decode(page["body"]).decode() if page["isBase64Encoded"] else page["body"]
    assert "<!doctype html>" in text
    icon = handler(event(kind, "GET", "/icon.svg"), None)
    assert icon["statusCode"] == 200
    limits = json.loads(handler(event(kind, "GET", "/model"), None)["body"])["limits"]
    assert limits["max_megabytes"] == 4.4


@pytest.mark.parametrize(("kind", "address"), [("url", ""), ("http_api", ""), ("rest_api", "/live")])
def test_the_page_of_the_api_knows_where_it_lies(handler: Handler, kind: str, address: str) -> None:
    page = handler(event(kind, "GET", "/docs"), None)
    text = base64.b64decode(page["body"]).decode() if page["isBase64Encoded"] else page["body"]
    assert page["statusCode"] == 200
    assert f"curl -F photo=@photo.jpg https://abc.example{address}/classify" in text


def test_what_is_wrong_with_a_request_is_told_as_by_the_server(handler: Handler) -> None:
    for body, status in ((b"no photo", 415), (b"", 400), (jpeg("red")[:200], 422), (b"\0" * 4_700_000, 413)):
        answer = handler(event("url", "POST", "/classify", body), None)
        assert (answer["statusCode"], set(json.loads(answer["body"]))) == (status, {"error", "remedy"})
    assert handler(event("url", "GET", "/nowhere"), None)["statusCode"] == 404
    assert handler(event("url", "GET", "/classify"), None)["statusCode"] == 405


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["version", "requestContext", "http", "httpMethod", "path", "rawPath", "headers", "body", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=JUNK)
def test_any_event_is_answered_and_none_raises(handler: Handler, junk: Any) -> None:
    answer = handler(junk, None)
    assert 400 <= answer["statusCode"] < 500
    assert json.loads(answer["body"])["error"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    name=st.sampled_from(["headers", "requestContext", "body", "rawPath", "path", "httpMethod", "isBase64Encoded"]),
    junk=JUNK,
)
def test_a_request_with_junk_in_a_field_is_answered_too(handler: Handler, kind: str, name: str, junk: Any) -> None:
    answer = handler(event(kind, "POST", "/classify", b"x") | {name: junk}, None)
    assert 400 <= answer["statusCode"] < 500


def test_a_line_of_the_log_tells_of_the_request_but_not_what_was_sent(
    handler: Handler, capfd: pytest.CaptureFixture[str]
) -> None:
    handler(event("url", "POST", "/classify", form_of(jpeg("red"), "secret name.jpg"), {"content-type": FORM}), None)
    (line,) = capfd.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["method"], told["path"], told["status"]) == ("POST", "/classify", 200)
    assert "secret" not in line
    assert "203.0.113" not in line


def test_it_asks_for_keys_where_it_has_some_and_never_starts_with_an_empty_one(
    handler: Handler, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEDGED_BUNDLE", str(bundle.folder))
    module = importlib.import_module("fledged.serving.function")
    key = "kestrel-kestrel-kestrel"
    try:
        monkeypatch.setenv("FLEDGED_API_KEYS", key)
        importlib.reload(module)
        for headers, status in (({}, 401), ({"x-api-key": key}, 200), ({"authorization": f"Bearer {key}"}, 200)):
            assert module.handler(event("url", "POST", "/classify", jpeg(), headers), None)["statusCode"] == status
        assert module.handler(event("url", "GET", "/"), None)["statusCode"] == 200  # the page, which asks for the key
        monkeypatch.setenv("FLEDGED_API_KEYS", "")
        with pytest.raises(ConfigError, match="There is no API key in it"):
            importlib.reload(module)
    finally:
        monkeypatch.delenv("FLEDGED_API_KEYS")
        importlib.reload(module)  # `handler` is of this module
    assert handler(event("url", "POST", "/classify", jpeg()), None)["statusCode"] == 200
