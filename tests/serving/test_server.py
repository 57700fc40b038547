from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from fledged.config import resolve
from fledged.errors import ConfigError, ProductError
from fledged.predicting.predictor import Predictor
from fledged.serving import server
from fledged.serving.app import create_app
from fledged.serving.server import listen, make_server, serve
from fledged.settings.results import ServeConfig
from tests.serving.photos import encoded, jpeg, picture

PROGRAM = """
import sys
from fledged.serving.server import serve
serve(work=sys.argv[1], port=0, on_ready=lambda url: print(url, flush=True))
"""


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_until_it_is_stopped_and_ends_without_an_error(work: Path, stop: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(work)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().strip()
        with httpx.Client(base_url=url, timeout=30) as client:
            assert client.post("/classify", content=jpeg("blue")).json()["label"] == "blue"
            assert client.post("/classify", content=b"no photo").status_code == 415
            for odd in (encoded(picture(), "TIFF")[:-300], encoded(Image.new("1", (12_000, 9_000)), "PNG")):
                assert client.post("/classify", content=odd).status_code == 422
            process.send_signal(stop)  # while a connection is still open
            assert process.wait(15) == 0
        assert process.stdout.read() == ""
        told = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert [line["status"] for line in told] == [200, 415, 422, 422]


def test_it_can_be_stopped_from_the_moment_that_it_is_announced(work: Path) -> None:
    program = PROGRAM.replace("print(url, flush=True)", "__import__('signal').raise_signal(15)")
    ran = subprocess.run([sys.executable, "-c", program, str(work)], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")


SLOW_PROGRAM = """
import sys, time
from fledged.predicting.predictor import Predictor
from fledged.serving.server import serve
at_once = Predictor.predict
Predictor.predict = lambda self, *how: time.sleep(0.2) or at_once(self, *how)
serve(work=sys.argv[1], port=0, receive_timeout_s=1, on_ready=lambda url: print(url, flush=True))
"""


def _sent(port: int, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(data)
    return connection


def _answered(connection: socket.socket) -> bytes:
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_who_has_sent_a_photo_before_it_is_stopped_is_answered(work: Path) -> None:
    head = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(jpeg("blue"))
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_PROGRAM, str(work)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        port = int(process.stdout.readline().strip("/\n").rpartition(":")[2])
        idle, half = _sent(port, b""), _sent(port, head)
        photos = [_sent(port, head + jpeg("blue")) for _ in range(12)]
        process.send_signal(signal.SIGTERM)
        answers = [_answered(connection) for connection in photos]
        assert all(b"200 OK" in answer and b'"label":"blue"' in answer for answer in answers)
        assert b" 408 " in _answered(half)
        assert b" 200 " not in _answered(idle)
        assert process.wait(10) == 0
        with pytest.raises(ConnectionError):
            _sent(port, head)
        assert len(process.stderr.read().splitlines()) == len(photos) + 1


def test_it_waits_for_answers_as_long_as_they_may_take(predictor: Predictor) -> None:
    config = resolve(ServeConfig, {"deadline_s": 45.5})
    assert (make_server(create_app(predictor, config), config).config.timeout_graceful_shutdown or 0) > 45.5


def test_answers_do_not_wait_for_the_clients_acknowledgement() -> None:
    with listen(resolve(ServeConfig, {"port": 0})) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_told_with_the_remedy(work: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Port {port} is taken .*--port"):
            serve(work=work, port=port)


def test_an_address_that_is_not_ours_is_told(work: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot listen"):
        serve(work=work, host="192.0.2.1", port=0)


@pytest.mark.parametrize("settings", [{"prot": 8000}, {"port": 70_000}, {"top_k": 0}, {"max_megabytes": 0}])
def test_settings_are_checked_first(work: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        serve(work=work, **settings)


def test_photos_are_answered_together_where_that_is_asked_for(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def load(*_: object, **named: object) -> Predictor:
        asked.update(named)
        raise ProductError("seen enough")

    monkeypatch.setattr(server, "load", load)
    given: list[tuple[dict[str, Any], int]] = [({}, 1), ({"batch": {"max_photos": 4}}, 4)]
    for settings, most in given:
        with pytest.raises(ProductError, match="seen enough"):
            serve(work=work, port=0, **settings)
        assert asked["batch"].max_photos == most


def test_without_a_bundle_the_port_is_free_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(ProductError, match="fledged export"):
        serve(work=tmp_path, port=port)
    socket.create_server(("127.0.0.1", port)).close()


def test_it_runs_in_a_thread_too(work: Path) -> None:
    urls: list[str] = []
    ready = threading.Event()

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    thread = threading.Thread(
        target=serve, kwargs={"work": work, "port": 0, "host": "localhost", "on_ready": on_ready}, daemon=True
    )
    thread.start()
    assert ready.wait(20)
    assert httpx.get(f"{urls[0]}livez").status_code == 200
