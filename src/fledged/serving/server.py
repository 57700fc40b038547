"""A bundle on a port, until someone stops it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from fledged import images
from fledged.config import resolve
from fledged.errors import ConfigError
from fledged.predicting.predictor import Predictor, load
from fledged.products import Bundle
from fledged.serving.app import create_app
from fledged.serving.decoding import decoders
from fledged.serving.keys import read_keys
from fledged.serving.metrics import Metrics
from fledged.serving.observing import tell_nobody, to_stderr
from fledged.serving.receiving import protocol
from fledged.serving.reloading import Reloader, marker, reloading
from fledged.serving.switch import Switch
from fledged.settings.results import ServeConfig
from fledged.workspace import DEFAULT

# Turns of the event loop from a connection in the backlog to the request that was read from it.
_TURNS = 10
# Longer than clients usually keep an idle connection, so that they, not we, close it.
_KEEP_ALIVE_S = 75
_BACKLOG = 2048


def serve(
    bundle: Bundle | str | os.PathLike[str] | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    on_ready: Callable[[str], None] = lambda url: None,
    **settings: object,
) -> None:
    """Answers HTTP with a bundle (see `load`) until Ctrl-C or SIGTERM; `on_ready(url)` is called once it listens.

    `settings` are those of ServeConfig. Raises ConfigError if the address cannot be had, and ProductError.
    """
    config = resolve(ServeConfig, settings)
    keys, metrics, tell = read_keys(config.access.keys_file), Metrics(), to_stderr if config.log else tell_nobody
    with listen(config) as listener, decoders(config.decode, metrics.decoder_replaced) as pool:
        decode = pool.decode if pool else images.model_input

        def open_newest() -> Predictor:
            return load(bundle, work=work, threads=config.threads, decode=decode, in_crowds=True, batch=config.batch)

        mark = marker(bundle, work) if config.watch else None
        switch = Switch(open_newest())
        server = make_server(create_app(switch, config, keys=keys, metrics=metrics, tell=tell), config)
        with (
            stopped_by_signals(server),
            reloading(Reloader(switch, open_newest, metrics, tell), mark),
            warnings.catch_warnings(),
        ):
            warnings.filterwarnings("ignore", module=r"PIL\.")  # about clients' files: they are told, the log is not
            logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # not of what is no HTTP
            on_ready(_url(config.host, listener))
            server.run(sockets=[listener])


def make_server(app: ASGIApp, settings: ServeConfig) -> uvicorn.Server:
    """uvicorn as we run it: it says nothing but errors, and stops when all that it has taken is answered."""
    config = uvicorn.Config(
        app,
        http=protocol(settings.receive_timeout_s),
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.deadline_s) + 1,  # by then each has its answer, or 504
    )
    return _Server(config)


class _Server(uvicorn.Server):
    """Whoever has sent a request by the time that the server is told to stop is answered."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for _ in range(_TURNS):  # it may have arrived since the loop last looked
            await asyncio.sleep(0)
        telling = asyncio.create_task(self._tell_the_last())
        await super().shutdown(sockets)
        telling.cancel()

    async def _tell_the_last(self) -> None:
        """uvicorn tells the connections that there are; some are only being made then, and would keep it waiting."""
        while True:
            await asyncio.sleep(0.1)
            for connection in list(self.server_state.connections):
                connection.shutdown()


def listen(config: ServeConfig) -> socket.socket:
    """A socket that listens before the model is loaded: a port that is taken is told at once. Raises ConfigError."""
    try:
        family = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((config.host, config.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        address = f"{config.host}:{config.port}"
        if error.errno == errno.EADDRINUSE:
            remedy = "Take another with --port, or any free one with --port 0."
            raise ConfigError(f"Port {config.port} is taken", where=address, remedy=remedy) from error
        reason = error.strerror or str(error)
        remedy = "Change --host or --port; ports below 1024 belong to the system."
        raise ConfigError(f"Cannot listen: {reason}", where=address, remedy=remedy) from error
    # Connections inherit it. Head and body of an answer are two packets: without it the second waits 40 ms for the
    # client's acknowledgement of the first. asyncio sets it only on sockets that it made itself.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    # "Any address" is no address to visit.
    name = "localhost" if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/"


@contextlib.contextmanager
def stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the server without an error, from the moment that it is announced.

    uvicorn drains on a signal and then raises it again for whoever handled it before; that would end the process with
    a failure, so here it only says once more what is already so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def stop(*_: object) -> None:
        server.should_exit = True

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
