"""A newer bundle is taken up without a request that fails; a bad one is refused, and the one before can be restored."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from fledged.errors import ProductError
from fledged.predicting.predictor import Predictor, load
from fledged.products import Bundle
from fledged.serving.metrics import Metrics
from fledged.serving.reloading import Reloader, marker, reloading
from fledged.serving.switch import Switch
from fledged.workspace import Workspace
from tests.bundles import make_tiny_bundle
from tests.serving.asking import asking, until

FIRST, SECOND, BAD = "c010c4ed0001", "c010c4ed0002", "c010c4ed0003"
PROGRAM = """
import sys
from fledged.serving.server import serve
serve(work=sys.argv[1], port=0, watch=True, on_ready=lambda url: print(url, flush=True))
"""


def test_no_request_fails_while_the_bundle_changes(tmp_path: Path) -> None:
    make_tiny_bundle(tmp_path, bundle_id=FIRST)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().strip()
        told: list[str] = []
        reading = threading.Thread(target=lambda: told.extend(process.stderr or []))  # a full pipe would stop it
        reading.start()
        with asking(url) as answers:

            def now() -> str:
                return answers[-1][1] if answers else ""

            until(lambda: now() == FIRST)
            make_tiny_bundle(tmp_path, bundle_id=SECOND)  # it watches
            until(lambda: now() == SECOND)
            process.send_signal(signal.SIGUSR2)
            until(lambda: now() == FIRST)
            process.send_signal(signal.SIGHUP)
            until(lambda: now() == SECOND)
            bad = make_tiny_bundle(tmp_path / "elsewhere", bundle_id=BAD)
            (bad.folder / "model.onnx").write_bytes(b"not what was hashed")
            bad.folder.rename(tmp_path / "bundles" / BAD)
            (tmp_path / "latest.json").write_text(json.dumps({"bundle": BAD}))
            process.send_signal(signal.SIGHUP)
            until(lambda: any("bundle refused" in line for line in told))
            until(lambda: now() == SECOND)
        metrics = httpx.get(f"{url}metrics").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        reading.join()
    assert {status for status, _ in answers} == {200}
    assert len(answers) > 20
    events = [json.loads(line) for line in told if '"event"' in line]
    kinds = [event["event"] for event in events]
    assert kinds[:3] == ["bundle taken up", "bundle restored", "bundle taken up"]
    refused = next(event for event in events if event["event"] == "bundle refused")
    assert refused["bundle_id"] == SECOND
    assert BAD in refused["error"]
    assert 'fledged_reloads_total{result="taken"} 2\n' in metrics
    assert f'bundle_id="{SECOND}"' in metrics


def _reloader(switch: Switch, newest: Callable[[], Predictor]) -> tuple[Reloader, list[dict[str, object]]]:
    told: list[dict[str, object]] = []
    return Reloader(switch, newest, Metrics(), told.append), told


def test_the_same_bundle_again_is_no_change(predictor: Predictor) -> None:
    switch = Switch(predictor)
    reloader, told = _reloader(switch, lambda: predictor)
    with reloading(reloader, None):
        reloader.order("reload")
        until(lambda: bool(told))
    assert told[0]["event"] == "bundle unchanged"
    assert switch.before is None


def test_going_back_where_there_is_nothing(predictor: Predictor) -> None:
    reloader, told = _reloader(Switch(predictor), lambda: predictor)
    with reloading(reloader, None):
        reloader.order("go back")
        until(lambda: bool(told))
    assert told == [{"event": "no bundle to go back to", "bundle_id": predictor.bundle.id}]


@pytest.mark.parametrize(
    "why",
    [
        ProductError("It is gone", remedy="Bring it back."),
        OSError(errno.EMFILE, "Too many open files", "latest.json"),
        MemoryError("no room for the model"),
    ],
    ids=lambda why: type(why).__name__,
)
def test_one_that_cannot_be_opened_changes_nothing_and_the_next_order_is_followed(
    predictor: Predictor, why: Exception
) -> None:
    def broken() -> Predictor:
        raise why

    switch = Switch(predictor)
    reloader, told = _reloader(switch, broken)
    with reloading(reloader, None):
        for n_told in (1, 2):
            reloader.order("reload")
            until(lambda n_told=n_told: len(told) == n_told)  # type: ignore[misc]
    assert [line["error"] for line in told] == [str(why)] * 2
    assert switch.now.predictor is predictor


def test_a_moment_without_a_free_descriptor_is_no_new_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_bundle(tmp_path, bundle_id=FIRST)
    newest = marker(None, tmp_path)
    seen = newest()

    def full(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "newest", full)
        assert newest() == seen
    assert newest() == seen


def test_stopped_while_a_newer_bundle_is_being_opened(bundle: Bundle, predictor: Predictor) -> None:
    """The opening ends first; what it opened is taken up or not, and nothing hangs."""
    begun, may_end = threading.Event(), threading.Event()

    def slow() -> Predictor:
        begun.set()
        assert may_end.wait(10)
        return load(bundle)

    reloader, told = _reloader(Switch(predictor), slow)
    with reloading(reloader, None):
        reloader.order("reload")
        assert begun.wait(10)
        threading.Timer(0.1, may_end.set).start()
    assert [line["event"] for line in told] == ["bundle unchanged"]


def test_a_cold_predictor_is_never_switched_to(bundle: Bundle, predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="warmed up"):
        Switch(predictor).change(Predictor(bundle, predictor._session))


def test_signals_mean_what_they_meant_before(predictor: Predictor) -> None:
    before = signal.getsignal(signal.SIGHUP)
    with reloading(_reloader(Switch(predictor), lambda: predictor)[0], None):
        assert signal.getsignal(signal.SIGHUP) is not before
    assert signal.getsignal(signal.SIGHUP) is before


def test_the_mark_changes_with_the_pointer_a_link_and_the_files(tmp_path: Path) -> None:
    first = make_tiny_bundle(tmp_path, bundle_id=FIRST)
    link = tmp_path / "live"
    link.symlink_to(first.folder)
    newest, linked, own = marker(None, tmp_path), marker(link, tmp_path), marker(first, tmp_path)
    seen = [newest(), linked(), own()]
    assert [newest(), linked(), own()] == seen
    second = make_tiny_bundle(tmp_path, bundle_id=SECOND)
    assert newest() != seen[0]
    assert linked() == seen[1]
    (tmp_path / "new").symlink_to(second.folder)
    (tmp_path / "new").replace(link)
    assert linked() != seen[1]
    assert load(link).bundle.id == SECOND
    (first.folder / "model.onnx").write_bytes(b"other")
    assert own() != seen[2]


def test_without_a_bundle_there_is_no_mark(tmp_path: Path) -> None:
    assert marker(None, tmp_path)() is None
