"""A deployed model is asked: here, a real server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from fledged.deploying.invoke import invoke
from fledged.errors import DeployError, RequestError
from fledged.predicting.predictor import load
from fledged.products import Bundle
from tests.serving.conftest import serving
from tests.serving.photos import jpeg

PHOTO = jpeg("green")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "a b.jpg").write_bytes(PHOTO)
    return tmp_path / "a b.jpg"


def test_it_answers_and_says_how_long_it_took(bundle: Bundle, photo: Path) -> None:
    with serving(load(bundle)) as url:
        told = invoke(f"{url}/", photo, times=3)
    assert (told.answer["label"], told.answer["bundle_id"]) == ("green", bundle.id)
    assert told.first_ms > 0
    assert len(told.later_ms) == 2
    first, *later = told.lines()
    assert first.startswith("green ")
    assert later[1].startswith("Later ones: median ")


def test_refusals_say_what_and_how_to_mend_it(bundle: Bundle, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_bytes(b"no photo at all")
    with serving(load(bundle)) as url:
        with pytest.raises(RequestError, match=r"It answered 415: This is .*Send a JPEG"):
            invoke(url, tmp_path / "text.jpg")
        with pytest.raises(RequestError, match=r"It answered 404: .*"):
            invoke(f"{url}/classify", photo)
    with pytest.raises(DeployError, match=r"Nothing answers: .*Check the address"):
        invoke(url, photo)
    with pytest.raises(RequestError, match="Cannot read: No such file"):
        invoke(url, tmp_path / "none.jpg")
    with pytest.raises(DeployError, match="It begins with https://"):
        invoke("my-function", photo)


class Gate(BaseHTTPRequestHandler):
    """Lets in who has a key, or a signature that AWS's own code makes of the same request."""

    protocol_version = "HTTP/1.1"
    said: dict[str, str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).said = {name.lower(): value for name, value in self.headers.items()}
        is_open = self.said.get("x-api-key") == "sesame" or self._is_signed(body)
        answer = {"label": "owl", "top_k": [], "accepted": True} if is_open else {"message": "Forbidden"}
        data = json.dumps(answer).encode()
        self.send_response(200 if is_open else 403)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _is_signed(self, body: bytes) -> bool:
        if "authorization" not in self.said:
            return False
        url = f"http://{self.headers['host']}{self.path}"
        request = AWSRequest("POST", url, data=body, headers={"content-type": self.said["content-type"]})
        request.context["timestamp"] = self.said["x-amz-date"]
        request.headers["X-Amz-Date"] = self.said["x-amz-date"]
        signer = SigV4Auth(Credentials("key", "secret"), "lambda", "eu-central-1")
        signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        return self.said["authorization"].endswith(f"Signature={signature}")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def gate() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Gate) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_keys_come_from_the_environment(gate: str, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLEDGED_API_KEY", raising=False)
    with pytest.raises(RequestError, match=r"It answered 403: Forbidden.*FLEDGED_API_KEY"):
        invoke(gate, photo)
    monkeypatch.setenv("FLEDGED_API_KEY", "sesame")
    assert invoke(gate, photo, times=1).answer["label"] == "owl"


def test_signed_requests_bear_aws_signature(gate: str, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert invoke(gate, photo, times=2, sign=True).answer["label"] == "owl"
    assert Gate.said["authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(RequestError, match="It answered 403"):
        invoke(gate, photo, sign=True)


def test_signing_needs_credentials(gate: str, photo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(DeployError, match=r"no credentials to sign with.*aws configure"):
        invoke(gate, photo, sign=True)
