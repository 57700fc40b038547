from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fledged.predicting.predictor import Predictor, load
from fledged.products import Bundle
from fledged.serving.app import create_app
from fledged.serving.keys import Keys
from fledged.serving.observing import Tell, tell_nobody
from fledged.serving.server import listen, make_server
from fledged.serving.switch import Switch
from fledged.settings.results import ServeConfig
from tests.bundles import make_tiny_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="session")
def work(bundle: Bundle) -> Path:
    return bundle.folder.parent.parent


@pytest.fixture(scope="session")
def predictor(bundle: Bundle) -> Predictor:
    return load(bundle)


@pytest.fixture(scope="session")
def url(predictor: Predictor) -> Iterator[str]:
    with serving(predictor) as address:
        yield address


@pytest.fixture(scope="session")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=30) as session:
        yield session


@contextlib.contextmanager
def serving(
    answering: Predictor | Switch, keys: Keys | None = None, tell: Tell = tell_nobody, **settings: object
) -> Iterator[str]:
    """A real server on a free port for as long as the block lasts."""
    config = ServeConfig.model_validate({"port": 0, **settings})
    with listen(config) as listener:
        server = make_server(create_app(answering, config, keys=keys, tell=tell), config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
