"""Where weights come from: a file, the installed package, a hub (a local file server here), and never a guess."""

from __future__ import annotations

import functools
import hashlib
import http.server
import importlib.machinery
import importlib.util
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fledged.errors import WeightsError
from fledged.networks import weights
from fledged.networks.weights import locate
from fledged.settings.training import TrainConfig

CLOSED_PORT = "http://127.0.0.1:9"


class Quiet(http.server.SimpleHTTPRequestHandler):
    delay_s = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay_s)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


class Slow(Quiet):
    delay_s = 1.0


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A file server with weights of mobilenet_v2 under a published-looking name; the cache is an empty folder."""
    folder = tmp_path / "hub"
    folder.mkdir()
    torch.save({"a": torch.ones(3)}, folder / "weights")
    sha256 = hashlib.sha256((folder / "weights").read_bytes()).hexdigest()
    name = f"mobilenet_v2-{sha256[:8]}.pth"
    (folder / "weights").rename(folder / name)
    monkeypatch.setattr(weights, "TORCHVISION_FILES", {"mobilenet_v2": name, "resnet18": "resnet18-00000000.pth"})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    yield from serve(functools.partial(Quiet, directory=str(folder)))


def serve(handler: functools.partial[Quiet] | functools.partial[Slow]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = False  # so that closing it waits for the answers under way
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_hub_is_asked_once_and_then_the_cache(hub: str) -> None:
    first = locate(TrainConfig(backbone="mobilenet_v2"), hub)
    assert first.path is not None
    assert first.path.is_file()
    assert first.sha256.startswith(first.path.stem.rpartition("-")[2])
    assert locate(TrainConfig(backbone="mobilenet_v2"), CLOSED_PORT) == first


def test_auto_takes_mobilenet_where_it_can_be_had(hub: str) -> None:
    assert locate(TrainConfig(), hub).backbone == "mobilenet_v2"


def test_auto_falls_back_and_says_so_in_one_line(hub: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "fledged"):
        source = locate(TrainConfig(), CLOSED_PORT)
    assert source.backbone == "efficientnet_lite0"
    assert len(caplog.messages) == 1
    assert "efficientnet_lite0" in caplog.messages[0]


def test_auto_does_not_wait_for_a_slow_hub(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(weights, "_AUTO_TIMEOUT_S", 0.3)
    for url in serve(functools.partial(Slow, directory=str(tmp_path / "hub"))):
        start_s = time.monotonic()
        assert locate(TrainConfig(), url).backbone == "efficientnet_lite0"
        assert time.monotonic() - start_s < 0.9


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_an_explicit_name_never_falls_back_and_names_three_ways(hub: str, name: str) -> None:
    address = CLOSED_PORT if name == "mobilenet_v2" else hub  # no server, and a server without the file
    with pytest.raises(
        WeightsError, match=r"Three ways: --weights FILE.*reaches the hub.*--backbone efficientnet_lite0"
    ):
        locate(TrainConfig(backbone=name), address)


def test_what_is_not_the_published_file_is_not_kept(hub: str, tmp_path: Path) -> None:
    (tmp_path / "hub" / "resnet18-00000000.pth").write_bytes(b"something else")
    with pytest.raises(WeightsError, match="sha256 differs"):
        locate(TrainConfig(backbone="resnet18"), hub)
    assert not list((tmp_path / "cache").rglob("resnet18*"))


def test_a_damaged_file_in_the_cache_is_named(hub: str) -> None:
    path = locate(TrainConfig(backbone="mobilenet_v2"), hub).path
    assert path is not None
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"damaged.*Delete the file"):
        locate(TrainConfig(backbone="mobilenet_v2"), hub)


def test_a_damaged_file_in_the_installed_package_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a pickle: that its hash is right comes first."""
    file = tmp_path / weights._PACKAGE_FILE
    file.parent.mkdir()
    file.write_bytes(b"other weights")
    package = importlib.machinery.ModuleSpec(weights._PACKAGE, None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: package)
    with pytest.raises(WeightsError, match=r"damaged: its sha256 does not begin with 57934424.*--force-reinstall"):
        locate(TrainConfig(backbone="efficientnet_lite0"))


@pytest.mark.parametrize(
    ("name", "words"), [("gone.safetensors", "no such weights file"), ("a.pth", "safetensors only")]
)
def test_a_weights_file_must_be_there_and_be_safetensors(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "a.pth").write_bytes(b"")
    with pytest.raises(WeightsError, match=words):
        locate(TrainConfig(backbone="mobilenet_v2", weights=str(tmp_path / name)))


def test_scratch_needs_no_weights() -> None:
    source = locate(TrainConfig(mode="scratch"), CLOSED_PORT)
    assert (source.backbone, source.path) == ("mobilenet_v2", None)


def test_the_way_out_names_the_backbone_that_auto_would_be(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"with weights of mobilenet_v2;"):
        locate(TrainConfig(weights=str(tmp_path / "gone.safetensors")))
