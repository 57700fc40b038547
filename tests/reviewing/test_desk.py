"""The command as people run it: in a terminal, in a script, stopped and killed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

import fledged
from fledged.errors import ConfigError, ProductError
from fledged.products import Review
from fledged.reviewing.decisions import read_decisions
from fledged.reviewing.desk import login_name, open_browser, open_desk
from fledged.workspace import Workspace
from tests.preloaded import python
from tests.reviewing.conftest import Place, hashes


@contextlib.contextmanager
def reviewing(work: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """The page, opened by the command in a process of its own, and a client that holds its token."""
    command = [*python(), "-m", "fledged", "review", "--work", str(work), "--open", *flags]
    environment = {name: text for name, text in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        try:
            address = next(line for line in process.stdout if line.startswith("Reviewing ")).split()[1]
            assert process.stdout.readline().startswith("Ctrl-C when you are done; decisions are saved as you make")
            token = parse_qs(urlsplit(address).query)["token"][0]
            headers = {"X-Fledged-Token": token, "X-Fledged-Review": "1"}
            base = f"http://{urlsplit(address).netloc}"
            with httpx.Client(base_url=base, headers=headers, timeout=30) as client:
                yield process, client
        finally:
            process.kill()


def decide(client: httpx.Client, photo: int, action: str) -> httpx.Response:
    return client.post("/decisions", json={"decisions": [{"photo": photo, "action": action, "seen": None}]})


def test_kill_9_loses_no_decision_that_was_acknowledged(place: Place) -> None:
    before = hashes(place.lake)
    n_photos = place.snapshot.n_photos
    acknowledged: list[int] = []
    with reviewing(place.work, "--reviewer", "ana") as (process, client):
        enough = threading.Event()

        def work() -> None:
            with contextlib.suppress(httpx.HTTPError):
                for photo in range(n_photos):
                    if decide(client, photo, "drop").status_code == 200:
                        acknowledged.append(photo)
                    if len(acknowledged) == 8:
                        enough.set()

        thread = threading.Thread(target=work)
        thread.start()
        assert enough.wait(30)
        process.send_signal(signal.SIGKILL)  # while the next one is on its way
        thread.join(30)
        assert process.wait(10) == -signal.SIGKILL
    with place.log.open("ab") as log:
        log.write(b'{"path": "and the last li')  # as a crash of the machine may leave it
    paths = place.snapshot.photos()["path"]
    assert {paths[photo] for photo in acknowledged} <= set(read_decisions(place.log)["path"])
    with reviewing(place.work, "--reviewer", "ben") as (process, client):
        shown = client.get("/queue").json()["decisions"]
        assert {str(photo) for photo in acknowledged} <= set(shown)
        assert all(decision["reviewer"] == "ana" for decision in shown.values())
        last = n_photos - 1
        assert decide(client, last, "keep").status_code in (200, 409)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout
        assert f"{read_decisions(place.log).height} decisions" in process.stdout.read()
    made = Workspace(place.work).load(Review)
    assert made.n_decisions == read_decisions(place.log).height
    assert made.ignored_decisions == {"line is cut off": 1}
    assert hashes(place.lake) == before


def test_a_script_never_waits_for_a_page(place: Place) -> None:
    done = subprocess.run(
        [*python(), "-m", "fledged", "review", "--work", str(place.work)],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0
    assert "Next: fledged prepare" in done.stdout
    assert "Reviewing http" not in done.stdout


@pytest.mark.parametrize(("flags", "opens"), [([], True), (["--no-open"], False), (["--apply", "advice"], False)])
def test_in_a_terminal_the_page_opens_unless_somebody_has_no_time(place: Place, flags: list[str], opens: bool) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
    command = [*python(), "-m", "fledged", "review", "--work", str(place.work), *flags]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        told = b""
        with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as screen:
            while chunk := screen.read(4096):
                if b"Ctrl-C" in chunk:
                    process.send_signal(signal.SIGINT)
                told += chunk
        assert process.wait(20) == 0
    assert (b"Reviewing http://127.0.0.1:" in told) == opens
    assert b"Next: fledged prepare" in told


def test_json_stays_json_with_a_page(place: Place) -> None:
    command = [*python(), "-m", "fledged", "review", "--work", str(place.work), "--open", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stdout
        while "Ctrl-C" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        assert json.loads(process.stdout.read())["snapshot_id"] == place.snapshot.id


def test_what_is_missing_or_taken_is_told_before_a_page_opens(place: Place, tmp_path: Path) -> None:
    with pytest.raises(ProductError, match="fledged review"):
        open_desk(work=tmp_path / "nowhere")
    place.log.write_text("<<<<<<< HEAD\n")
    with pytest.raises(ProductError, match="Line 1 is a conflict marker"):
        open_desk(work=place.work)
    place.log.unlink()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="is taken"):
        open_desk(work=place.work, port=taken.getsockname()[1])


def test_build_applies_advice_when_it_is_told_to(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    class Far(Exception):
        pass

    def stop(*_: object, **__: object) -> None:
        raise Far

    monkeypatch.setattr("fledged.prepare", stop)
    with pytest.raises(Far):
        fledged.build(place.lake, work=place.work, apply="advice")
    assert set(read_decisions(place.log)["reviewer"]) == {"advice"}


def test_a_browser_is_opened_where_there_is_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = threading.Event()
    monkeypatch.setattr("webbrowser.open", lambda url: opened.set())
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform == "linux":
        assert not open_browser("http://127.0.0.1:1/")
    monkeypatch.setenv("DISPLAY", ":0")
    assert open_browser("http://127.0.0.1:1/")
    assert opened.wait(5)


def test_somebody_without_a_name_is_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert login_name()

    def nameless() -> str:
        raise OSError

    monkeypatch.setattr("getpass.getuser", nameless)
    assert login_name() == "somebody"
