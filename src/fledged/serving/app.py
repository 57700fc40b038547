"""HTTP: photos in, JSON out, and a page for people. The one place where a RequestError becomes an answer."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from fledged.engine import n_workers
from fledged.errors import RequestError
from fledged.predicting.predictor import Predictor
from fledged.serving.access import guarded
from fledged.serving.answering import Asked, answer
from fledged.serving.facts import metrics_text, model_facts, version_facts
from fledged.serving.feedback import feedback_routes
from fledged.serving.headers import with_headers
from fledged.serving.keys import Keys
from fledged.serving.line import Line, is_gone
from fledged.serving.metrics import MEDIA_TYPE, Metrics
from fledged.serving.observing import Tell, observed, tell_nobody
from fledged.serving.switch import Switch
from fledged.serving.uploads import Upload, photos_in, read_body
from fledged.settings.results import ServeConfig

_PAGE = Path(__file__).parent / "page"
_SCRIPTS = ("page", "camera", "card", "heatmap", "server", "shrink", "words")
_PAGE_FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in _SCRIPTS},
    "/docs.css": ("docs.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}

# The page loads nothing but its own files, and shows photos from the browser's memory (blob:).
_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST"],
    "allow_headers": ["Authorization", "Content-Type", "X-API-Key"],
    "expose_headers": ["Retry-After"],
}

_MAX_URL_BODY = 16 * 1024
# Of 32 clients on two cores it answers 1.4 times as many requests as with none more, and 1.1 times as with one.
AT_THE_DECODERS = 2

_REMEDIES = {
    404: "POST photos to /classify, or open / in a browser.",
    405: "POST photos to /classify; the other addresses are read with GET.",
}


def create_app(
    answering: Predictor | Switch,
    config: ServeConfig,
    *,
    keys: Keys | None = None,
    metrics: Metrics | None = None,
    tell: Tell = tell_nobody,
) -> ASGIApp:
    """The HTTP face of a predictor, or of whichever one a switch holds; `tell` is given a record of each request."""
    # Both log what is odd about the bytes that a client sends; the client is told, the log is not.
    for parser in ("python_multipart", "PIL"):
        logging.getLogger(parser).setLevel(logging.CRITICAL)
    switch = answering if isinstance(answering, Switch) else Switch(answering)
    metrics = metrics or Metrics()
    # Some photos more at a time than there are cores, since theirs wait for decoders meanwhile; the others wait in line
    # while the event loop stays free. Those of a batch wait for each other.
    n_at_once = n_workers(0) + AT_THE_DECODERS + config.batch.max_photos - 1
    line = Line(n_at_once, config.max_waiting, config.deadline_s)
    max_bytes = int(config.max_megabytes * 2**20)
    routes = [
        *_photo_routes(switch, config, metrics, line),
        *feedback_routes(lambda: switch.now.predictor, config.feedback, line, max_bytes),
        *_fact_routes(switch, config, metrics, line),
        *(_page_route(path, *file) for path, file in _PAGE_FILES.items()),
    ]
    open_paths = {"/livez", "/readyz", "/openapi.json", "/docs", *_PAGE_FILES}
    access = config.access
    cors = [Middleware(CORSMiddleware, allow_origins=access.allow_origins, **_CORS)] if access.allow_origins else []
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(with_headers, headers=_SECURITY_HEADERS),
            *cors,
            Middleware(guarded, access=access, own_name=config.host, keys=keys or Keys(), open_paths=open_paths),
        ],
        exception_handlers={
            RequestError: _on_request_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_bug,
        },
    )
    app.router.redirect_slashes = False
    return observed(app, metrics, tell, {route.path for route in routes})


def _photo_routes(switch: Switch, config: ServeConfig, metrics: Metrics, line: Line) -> list[Route]:
    max_bytes = int(config.max_megabytes * 2**20)

    async def answered(request: Request, uploads: Callable[[], list[Upload]]) -> Response:
        asked = Asked(_top_k(request, config.top_k), _explain(request))

        def work() -> Response:
            if is_gone(request.state):  # while it waited in line
                raise ClientDisconnect
            return JSONResponse(answer(switch.now, uploads(), asked, metrics, request.state))

        return await line.run(work)

    async def classify(request: Request) -> Response:
        _top_k(request, config.top_k), _explain(request)  # told before the photo is received
        await line.check()
        body = await read_body(request, max_bytes)
        content_type = request.headers.get("content-type", "")
        return await answered(request, lambda: photos_in(body, content_type))

    routes = [Route("/classify", classify, methods=["POST"])]
    if config.by_url.enabled:
        from fledged.serving.fetching import fetch_photo, url_in  # half of it is the standard library's HTTP and TLS

        # Fetching waits for other servers: it has a line of its own, and takes no core from photos that are here.
        fetches = Line(config.by_url.at_once, config.by_url.at_once, config.deadline_s)

        async def classify_url(request: Request) -> Response:
            _top_k(request, config.top_k), _explain(request)
            await line.check()
            url = url_in(await read_body(request, min(max_bytes, _MAX_URL_BODY)))
            photo = await fetches.run(lambda: fetch_photo(url, config.by_url, max_bytes))
            return await answered(request, lambda: [Upload(None, photo)])

        routes.append(Route("/classify/url", classify_url, methods=["POST"]))
    return routes


def _fact_routes(switch: Switch, config: ServeConfig, metrics: Metrics, line: Line) -> list[Route]:
    async def livez(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(request: Request) -> Response:
        predictor = switch.now.predictor
        if predictor.is_warm:
            return JSONResponse({"status": "ready", "bundle_id": predictor.bundle.id})
        return JSONResponse({"status": "warming up"}, 503)

    async def version(request: Request) -> Response:
        return JSONResponse(version_facts(switch.now.predictor.bundle))

    async def model(request: Request) -> Response:
        return JSONResponse(model_facts(switch.now.predictor.bundle, config))

    async def metrics_page(request: Request) -> Response:
        return Response(metrics_text(metrics, switch, line), media_type=MEDIA_TYPE)

    @functools.cache
    def document() -> dict[str, object]:
        from fledged.serving import openapi  # when it is first asked for: pydantic's schemas take longer than an answer

        return openapi.document(config)

    async def openapi_document(request: Request) -> Response:
        return JSONResponse(document())

    async def docs(request: Request) -> Response:
        from fledged.serving.docs_page import docs_page

        return HTMLResponse(docs_page(document(), str(request.base_url).rstrip("/")))

    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/version", version),
        Route("/model", model),
        Route("/metrics", metrics_page),
        Route("/openapi.json", openapi_document),
        Route("/docs", docs),
    ]


def _top_k(request: Request, default: int) -> int:
    text = request.query_params.get("top_k")
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and int(text) > 0):
        raise RequestError("`top_k` is not a number from 1 to 9999", status=400, remedy="Write, for example, ?top_k=3.")
    return int(text)


def _explain(request: Request) -> bool:
    text = request.query_params.get("explain", "0")
    if text not in ("0", "1"):
        raise RequestError("`explain` is neither 0 nor 1", status=400, remedy="Write ?explain=1 for a heatmap.")
    return text == "1"


def _page_route(path: str, name: str, media_type: str) -> Route:
    content = (_PAGE / name).read_bytes()

    async def page_file(request: Request) -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return Route(path, page_file)


def _problem(what: str, remedy: str) -> dict[str, str]:
    return {"error": what, "remedy": remedy}


async def _on_request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    # After a refusal the body may not have been read to its end, so the connection cannot be used again.
    headers = {"Connection": "close"} if error.status in (413, 429) else {}
    if error.status == 429:
        headers["Retry-After"] = "1"
    return JSONResponse(_problem(error.what, error.remedy), error.status, headers)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    remedy = _REMEDIES.get(error.status_code, "")
    return JSONResponse(_problem(error.detail, remedy), error.status_code, error.headers)


async def _on_disconnect(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


async def _on_bug(request: Request, error: Exception) -> Response:
    headers = _SECURITY_HEADERS  # this answer is made outside of the middleware
    return JSONResponse(_problem("The server failed", "Try again; the server's log says more."), 500, headers)
