from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from fledged.engine import n_workers
from fledged.errors import RequestError
from fledged.predicting.predictor import Photo, Predictor, load
from fledged.products import Bundle, Prediction
from fledged.serving.app import AT_THE_DECODERS
from tests.bundles import make_tiny_bundle
from tests.serving.conftest import serving
from tests.serving.photos import COLOURS, encoded, jpeg, of_all_kinds


def test_a_photo_as_raw_bytes(client: httpx.Client, bundle: Bundle) -> None:
    answer = client.post("/classify", content=jpeg("green"), headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == [
        "file",
        "predicted",
        "label",
        "confidence",
        "top_k",
        "bundle_id",
        "seconds",
        "accepted",
        "unknown_score",
    ]
    assert body["file"] is None
    assert body["predicted"] == body["label"] == "green"
    assert body["confidence"] == body["top_k"][0]["score"] > 0.9
    assert body["bundle_id"] == bundle.id


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/x-anything", "application/x-www-form-urlencoded"])
def test_the_content_type_of_raw_bytes_does_not_matter(client: httpx.Client, kind: str) -> None:
    assert client.post("/classify", content=jpeg(), headers={"Content-Type": kind}).json()["label"] == "red"


def test_a_photo_without_a_content_type(client: httpx.Client) -> None:
    assert client.post("/classify", content=jpeg()).json()["label"] == "red"


@pytest.mark.parametrize("field", ["file", "image", "anything at all"])
def test_a_photo_in_a_form(client: httpx.Client, field: str) -> None:
    body = client.post("/classify", files={field: ('Zoë\'s "bird".jpg', jpeg("blue"))}).json()
    assert body["file"].startswith("Zoë's ")
    assert body["predicted"] == "blue"


def test_several_photos_in_a_form_each_get_an_answer(client: httpx.Client) -> None:
    files = [("f", ("1.jpg", jpeg("red"))), ("f", ("2.txt", b"no photo")), ("g", ("3.jpg", jpeg("blue")))]
    answer = client.post("/classify", files=files, data={"note": "fields that are no files are passed over"})
    assert answer.status_code == 200
    first, second, third = answer.json()["results"]
    assert (first["file"], first["label"]) == ("1.jpg", "red")
    assert (second["file"], second["status"]) == ("2.txt", 415)
    assert second["error"]
    assert second["remedy"]
    assert (third["file"], third["label"]) == ("3.jpg", "blue")


@pytest.mark.parametrize("kind", of_all_kinds())
def test_every_kind_of_photo_is_answered_as_by_predict(client: httpx.Client, predictor: Predictor, kind: str) -> None:
    data = of_all_kinds()[kind]
    answer = client.post("/classify", content=data)
    assert answer.status_code == 200
    expected = predictor.predict(data).model_dump(mode="json", exclude={"seconds"})
    assert {name: answer.json()[name] for name in expected} == expected


@pytest.mark.parametrize(("query", "n"), [("", 3), ("?top_k=1", 1), ("?top_k=2", 2), ("?top_k=9999", 3)])
def test_top_k(client: httpx.Client, query: str, n: int) -> None:
    assert len(client.post(f"/classify{query}", content=jpeg()).json()["top_k"]) == n


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "", "10000", "١"])
def test_top_k_out_of_range(client: httpx.Client, value: str) -> None:
    answer = client.post("/classify", params={"top_k": value}, content=jpeg())
    assert answer.status_code == 400
    assert "top_k" in answer.json()["error"]


FORM = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"", {"Content-Type": "image/jpeg"}, 400),
        (b"Dear diary", {"Content-Type": "text/plain"}, 415),
        (b'{"photo": "base64"}', {"Content-Type": "application/json"}, 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"Content-Type": "image/svg+xml"}, 415),
        (jpeg(size=(300, 300))[:-2000], {"Content-Type": "image/jpeg"}, 422),
        (b"", FORM, 400),
        (b"junk", FORM, 400),
        (b"--x--\r\n", FORM, 400),
        (jpeg(), {"Content-Type": "multipart/form-data"}, 400),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\ntext\r\n--x--\r\n', FORM, 400),
        (b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.jpg"\r\n\r\n\r\n--x--\r\n', FORM, 400),
        (b'--x\r\nContent-Disposition: form-data; name="a"; filename=""\r\n\r\n\r\n--x--\r\n', FORM, 400),
        (b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.jpg"\r\n\r\n' + jpeg(), FORM, 400),
        (b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\n1\r\n' * 2000 + b"--x--\r\n", FORM, 400),
    ],
)
def test_bad_requests_are_answered_in_words(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, body: bytes, headers: dict[str, str], status: int
) -> None:
    with caplog.at_level(logging.WARNING):
        answer = client.post("/classify", content=body, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "remedy"}
    assert all(answer.json().values())
    assert "Traceback" not in answer.text
    assert not caplog.records


def _in_chunks(n_megabytes: int) -> Iterator[bytes]:
    for _ in range(n_megabytes):
        yield b"\xff" * 2**20


def test_more_than_the_limit_is_refused(client: httpx.Client) -> None:
    declared = client.post("/classify", content=b"\xff" * (30 * 2**20))
    chunked = client.post("/classify", content=_in_chunks(30))
    form = client.post("/classify", files={"f": ("a.jpg", b"\xff" * (30 * 2**20))})
    for answer in (declared, chunked, form):
        assert answer.status_code == 413
        assert "limit of 20 MB" in answer.json()["error"]
    assert client.post("/classify", content=jpeg()).status_code == 200


def test_the_limit_is_the_configured_one(predictor: Predictor) -> None:
    with serving(predictor, max_megabytes=0.01) as url:
        assert httpx.post(f"{url}/classify", content=b"\xff" * 11_000).status_code == 413
        assert httpx.post(f"{url}/classify", content=jpeg()).status_code == 200


def _connected(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_a_client_that_asks_first_need_not_send_what_is_too_large(url: str) -> None:
    with _connected(url) as connection:
        head = "POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000000\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_client_that_goes_away_leaves_no_trace(
    url: str, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        with _connected(url) as connection:
            connection.sendall(b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nonly this")
        assert client.get("/livez").status_code == 200
        time.sleep(0.2)
    assert not caplog.records


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/classify", 405), ("DELETE", "/", 405), ("GET", "/nothing", 404), ("GET", "/page/../app.py", 404)],
)
def test_other_addresses_are_answered_in_json(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert answer.json()["remedy"]


@pytest.mark.parametrize("path", ["/%2e%2e/app.py", "/..%2fapp.py", "/page.css/../../app.py", "//etc/passwd"])
def test_nothing_but_the_page_is_served(url: str, path: str) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", path)
    assert connection.getresponse().status == 404
    connection.close()


def test_probes_and_facts(client: httpx.Client, bundle: Bundle) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready", "bundle_id": bundle.id}
    version = client.get("/version").json()
    assert version["bundle_id"] == bundle.id
    assert version["classes"] == ["red", "green", "blue"]
    assert {"fledged", "onnxruntime", "run_id", "dataset_id", "snapshot_id", "created_at"} < set(version)
    model = client.get("/model").json()
    assert model["accuracy"] == {"value": 0.977, "low": 0.961, "high": 0.987, "n": 442}
    assert model["preprocess"]["size_px"] == 32
    assert model["parity"]["label_agreement"] == 1.0
    assert model["limits"] == {"max_megabytes": 20.0, "top_k": 5}


def test_it_is_not_ready_before_the_model_has_run(bundle: Bundle, predictor: Predictor) -> None:
    cold = Predictor(bundle, predictor._session)
    with serving(cold) as url:
        assert httpx.get(f"{url}/livez").status_code == 200
        assert httpx.get(f"{url}/readyz").status_code == 503
        cold.warm_up()
        assert httpx.get(f"{url}/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/", "/page.js", "/model", "/nothing", "/classify"])
def test_security_headers_are_on_every_answer(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["permissions-policy"].startswith("camera=(self)")
    assert headers["cache-control"] in ("no-store", "no-cache")
    assert not [name for name in headers if name.startswith("access-control-")]
    assert "server" not in headers


def test_many_at_once(client: httpx.Client) -> None:
    def answer(number: int) -> bool:
        colour = list(COLOURS)[number % 3]
        return bool(client.post("/classify", content=jpeg(colour)).json()["label"] == colour)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(answer, range(48)))


def test_the_event_loop_stays_free_while_photos_are_answered(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, go_on = load(bundle), threading.Event()
    as_before = slow.predict

    def predict(photo: Photo, top_k: int = 5) -> Prediction:
        assert go_on.wait(20)
        return as_before(photo, top_k)

    monkeypatch.setattr(slow, "predict", predict)
    with serving(slow) as url, httpx.Client(base_url=url, timeout=30) as client, ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(client.post, "/classify", content=jpeg()) for _ in range(8)]
        time.sleep(0.2)
        assert client.get("/livez").status_code == 200
        go_on.set()
        assert [answer.result().status_code for answer in answers] == [200] * 8


def test_a_bug_is_answered_without_its_insides(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = load(bundle)

    def predict(photo: Photo, top_k: int = 5) -> Prediction:
        raise RuntimeError("secret insides")

    monkeypatch.setattr(broken, "predict", predict)
    with serving(broken) as url:
        answer = httpx.post(f"{url}/classify", content=jpeg())
    assert answer.status_code == 500
    assert json.loads(answer.text)["error"] == "The server failed"
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_request_error_is_one_line() -> None:
    assert "\n" not in str(RequestError("a\nb", status=400, remedy="c\nd"))


def test_a_photo_of_none_of_the_classes_is_told_as_such(tmp_path: Path) -> None:
    predictor = load(make_tiny_bundle(tmp_path, knows_limits=True))
    grey = encoded(Image.new("RGB", (40, 30), "grey"), "PNG")
    with serving(predictor) as url, httpx.Client(base_url=url, timeout=30) as session:
        refused, accepted = (session.post("/classify", content=photo).json() for photo in (grey, jpeg("red")))
        model = session.get("/model").json()
    assert (refused["accepted"], accepted["accepted"]) == (False, True)
    assert refused["unknown_score"] > model["unknown"]["threshold"] > accepted["unknown_score"]
    assert refused["predicted"] == refused["label"] in model["classes"]
    assert model["unknown"]["share_kept"] == 0.95
    assert model["calibration"]["temperature"] == 1


def test_more_than_can_wait_are_refused_and_told_when_to_try_again(predictor: Predictor) -> None:
    gate = threading.Event()

    class Held(Predictor):
        def predict(self, photo: Photo, top_k: int = 5, *, explain: bool = False) -> Prediction:
            gate.wait(20)
            return predictor.predict(photo, top_k)

    held = Held.__new__(Held)
    held.__dict__.update(predictor.__dict__)
    n_asked = n_workers(0) + AT_THE_DECODERS + 2 + 10
    with serving(held, max_waiting=2) as url, ThreadPoolExecutor(n_asked) as pool:
        asked = [pool.submit(httpx.post, f"{url}/classify", content=jpeg("red"), timeout=30) for _ in range(n_asked)]
        with httpx.Client(base_url=url, timeout=30) as client:
            until_s = time.monotonic() + 20
            while sum(request.done() for request in asked) < 10 and time.monotonic() < until_s:
                time.sleep(0.02)
            assert client.get("/livez").status_code == 200  # those who only look are not kept waiting
            gate.set()
        answers = [request.result() for request in asked]
    refused = [answer for answer in answers if answer.status_code == 429]
    answered = [answer for answer in answers if answer.status_code == 200]
    assert (len(refused), len(answered)) == (10, n_asked - 10)
    assert all(answer.json()["label"] == "red" for answer in answered)
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    assert {answer.json()["remedy"] for answer in refused} == {"Try again in a second."}


def test_an_answer_that_takes_too_long_is_one_that_says_so(predictor: Predictor) -> None:
    class Slow(Predictor):
        def predict(self, photo: Photo, top_k: int = 5, *, explain: bool = False) -> Prediction:
            time.sleep(1)
            return predictor.predict(photo, top_k)

    slow = Slow.__new__(Slow)
    slow.__dict__.update(predictor.__dict__)
    with serving(slow, deadline_s=0.2) as url:
        answer = httpx.post(f"{url}/classify", content=jpeg("red"), timeout=30)
    assert answer.status_code == 504
    assert answer.json()["error"] == "No answer within 0.2 s"
