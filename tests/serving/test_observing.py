"""What is counted is what was asked, and the log tells of requests without what was in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from fledged.exporting.spread import histogram
from fledged.measured import Spread
from fledged.predicting.predictor import Predictor
from fledged.serving.keys import read_keys
from fledged.serving.observing import to_stderr
from tests.serving.asking import until
from tests.serving.conftest import serving
from tests.serving.photos import encoded, jpeg, picture

GROUP = "Logs"
KEY = "kestrel-kestrel-kestrel-1"
# What a request says that no log may repeat.
CASES = {
    "L01 the bytes of a photo": "\\xff\\xd8",
    "L02 the name of a file": "secret_name",
    "L03 a key": KEY,
    "L04 a query": "secret_query",
    "L05 EXIF": "SecretCamera",
    "L06 who asks": "secret_agent",
    "L07 a secret in a path that is not there is cut, not left out": "z" * 200,
}


@pytest.fixture
def told() -> list[dict[str, object]]:
    return []


@pytest.fixture
def client(predictor: Predictor, told: list[dict[str, object]]) -> Iterator[httpx.Client]:
    with serving(predictor, keys=read_keys("", {"FLEDGED_API_KEYS": KEY}), tell=told.append) as url:
        headers = {"x-api-key": KEY, "User-Agent": "secret_agent"}
        with httpx.Client(base_url=url, timeout=30, headers=headers) as session:
            yield session


def samples(text: str) -> dict[str, float]:
    """Name and labels to value, of the text format."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def ask_everything(client: httpx.Client) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    photo = encoded(picture("red"), "JPEG", exif=exif)
    for _ in range(3):
        client.post("/classify?top_k=1&x=secret_query", files={"f": ("secret_name.jpg", photo)})
    client.post("/classify", files=[("f", ("secret_name.jpg", photo)), ("f", ("secret_name.txt", b"words"))])
    client.post("/classify", content=b"words")
    client.post("/classify", content=photo, headers={"x-api-key": "wrong"})
    client.get("/" + "z" * 200)
    client.get("/livez")
    client.request("BREW", "/livez")


def test_a_line_for_each_request(client: httpx.Client, told: list[dict[str, object]]) -> None:
    ask_everything(client)
    expected = [
        ("POST", "/classify", 200, 1),
        ("POST", "/classify", 200, 1),
        ("POST", "/classify", 200, 1),
        ("POST", "/classify", 200, 2),
        ("POST", "/classify", 415, 1),
        ("POST", "/classify", 401, 0),
        ("GET", "/" + "z" * 127, 404, 0),
        ("GET", "/livez", 200, 0),
        ("other", "/livez", 405, 0),
    ]
    until(lambda: len(told) >= len(expected))  # a line comes after its answer
    assert [(line["method"], line["path"], line["status"], line["n_photos"]) for line in told] == expected
    assert all(set(line) == {"method", "path", "status", "ms", "bytes_in", "n_photos"} for line in told)
    assert told[4]["bytes_in"] == 5


@pytest.mark.parametrize("case", CASES)
def test_the_log_keeps_secrets(client: httpx.Client, told: list[dict[str, object]], case: str) -> None:
    ask_everything(client)
    assert told
    assert CASES[case] not in json.dumps(told)
    assert CASES[case] not in client.get("/metrics").text


def test_counters_are_what_was_asked(client: httpx.Client) -> None:
    before = samples(client.get("/metrics").text)
    assert before["fledged_refused_total"] == 0
    ask_everything(client)
    after: dict[str, float] = {}

    def all_are_counted() -> bool:  # which is done after the answer
        after.update(samples(client.get("/metrics").text))
        return 'fledged_requests_total{route="/livez",method="other",status="405"}' in after

    until(all_are_counted)
    requests = {name: value for name, value in after.items() if name.startswith("fledged_requests_total")}
    assert requests.pop('fledged_requests_total{route="/metrics",method="GET",status="200"}') >= 1
    assert requests == {
        'fledged_requests_total{route="/classify",method="POST",status="200"}': 4,
        'fledged_requests_total{route="/classify",method="POST",status="401"}': 1,
        'fledged_requests_total{route="/classify",method="POST",status="415"}': 1,
        'fledged_requests_total{route="/livez",method="GET",status="200"}': 1,
        'fledged_requests_total{route="/livez",method="other",status="405"}': 1,
        'fledged_requests_total{route="other",method="GET",status="404"}': 1,
    }
    assert after['fledged_photos_total{result="accepted"}'] == 4
    assert after['fledged_photos_total{result="failed"}'] == 2
    assert after['fledged_request_seconds_count{route="/classify"}'] == 6
    assert after['fledged_request_seconds_bucket{route="/classify",le="+Inf"}'] == 6
    assert after['fledged_request_seconds_sum{route="/classify"}'] > 0
    assert (after["fledged_waiting"], after["fledged_in_progress"]) == (0, 0)


def test_the_text_is_of_the_format(client: httpx.Client) -> None:
    ask_everything(client)
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    seen: set[str] = set()
    family = ""
    for line in answer.text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in seen
            seen.add(family)
        elif line.startswith("# TYPE "):
            assert line.split()[2] == family
            assert line.split()[3] in ("counter", "gauge", "histogram")
        else:
            assert re.fullmatch(r'[a-z_]+(\{([a-z]\w*="[^"\\\n]*",?)+\})? (\+Inf|-?[0-9.e+-]+)', line), line
            assert line.startswith(family)


def test_drift_is_there_where_the_bundle_has_a_reference(predictor: Predictor) -> None:
    values = np.random.default_rng(7).random(500)
    changed = {"spread": Spread(n_photos=500, confidence=histogram(values))}
    other = Predictor(predictor.bundle.model_copy(update=changed), predictor._session)
    with serving(other) as url, httpx.Client(base_url=url, timeout=30) as client:
        for _ in range(5):
            client.post("/classify", files=[("f", ("1.jpg", jpeg()))] * 20)
        found = samples(client.get("/metrics").text)
    assert found['fledged_drift_window_photos{of="confidence"}'] == 100
    assert found['fledged_drift_psi{of="confidence"}'] > 0.25  # always as sure as can be
    assert found['fledged_drift_psi_by_chance{of="confidence"}'] == pytest.approx(9 * (1 / 500 + 1 / 100))
    assert 'fledged_drift_psi{of="unknown_score"}' not in found


def test_a_line_is_json_with_the_time(capsys: pytest.CaptureFixture[Any]) -> None:
    to_stderr({"path": "/a\nb\u2028"})
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["path"] == "/a\nb\u2028"
    assert list(json.loads(line)) == ["time", "path"]
