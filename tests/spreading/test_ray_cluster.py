"""Addresses of clusters that cannot be had: each told in one line, in bounded time."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator

import pytest

from fledged.engine import Engine
from fledged.errors import EngineError, FledgedError
from fledged.settings.engine import EngineConfig
from fledged.spreading import ray_cluster
from fledged.spreading.ray_cluster import connected


def refusal(address: str, answer_s: float = 60) -> str:
    said = ray_cluster._refusal(EngineConfig(name="ray", address=address, answer_s=answer_s))
    assert isinstance(said, FledgedError)
    assert "\n" not in str(said)
    return str(said)


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address where somebody listens who never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_an_address_that_does_not_answer_is_told_soon(deaf: str) -> None:
    began_s = time.monotonic()
    assert refusal(deaf, 2).startswith(f"No Ray cluster answers within 2 s (--address {deaf}). Check the address")
    assert refusal("127.0.0.1:1", 2).startswith("No Ray cluster answers within 2 s")
    assert time.monotonic() - began_s < 20


def test_a_wrong_token_is_told(ray_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)
    said = refusal(ray.get_runtime_context().gcs_address, 15)
    assert said.startswith("The cluster does not take this machine's token")
    assert "~/.ray/auth_token" in said


def test_other_versions_are_told(ray_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    older = ray_cluster._KNOCK.replace("import sys, ray", "import sys, ray\nray.__version__ = '2.1.0'")
    monkeypatch.setattr(ray_cluster, "_KNOCK", older)
    said = refusal(ray.get_runtime_context().gcs_address)
    assert said.startswith(f"The cluster runs Ray {ray.__version__} on Python 3.")
    assert "and this process Ray" in said


def test_another_cluster_than_the_one_connected_to_is_told(ray_engine: Engine) -> None:
    assert connected(EngineConfig(name="ray", address="auto")) is connected(EngineConfig(name="ray"))
    with pytest.raises(EngineError, match=r"is connected to the Ray cluster \S+ already"):
        connected(EngineConfig(name="ray", address="10.0.0.5:6379"))


def test_sigterm_ends_a_program_as_it_did_before(ray_engine: Engine) -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
