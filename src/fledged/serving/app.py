"""HTTP: photos in, JSON out, and a page for people. The one place where a RequestError becomes an answer."""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path

import onnxruntime
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fledged.engine import n_workers
from fledged.errors import RequestError
from fledged.serving.feedback import feedback_routes
from fledged.serving.headers import with_headers
from fledged.serving.line import Line
from fledged.serving.predictor import Predictor
from fledged.serving.uploads import Upload, photos_in, read_body
from fledged.settings.results import ServeConfig

_PAGE = Path(__file__).parent / "page"
_SCRIPTS = ("page", "camera", "card", "heatmap", "server", "shrink", "words")
_PAGE_FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in _SCRIPTS},
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

_REMEDIES = {
    404: "POST photos to /classify, or open / in a browser.",
    405: "POST photos to /classify; the other addresses are read with GET.",
}


def create_app(predictor: Predictor, config: ServeConfig) -> Starlette:
    """The HTTP face of a predictor."""
    # Both log what is odd about the bytes that a client sends; the client is told, the log is not.
    for parser in ("python_multipart", "PIL"):
        logging.getLogger(parser).setLevel(logging.CRITICAL)
    max_bytes = int(config.max_megabytes * 2**20)
    # As many photos at a time as there are cores; the others wait in line while the event loop stays free.
    line = Line(n_workers(0), config.max_waiting, config.deadline_s)

    async def classify(request: Request) -> Response:
        top_k = _top_k(request, config.top_k)
        line.check()
        body = await read_body(request, max_bytes)
        content_type = request.headers.get("content-type", "")
        return await line.run(lambda: _answer(predictor, body, content_type, top_k))

    async def livez(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(request: Request) -> Response:
        if predictor.is_warm:
            return JSONResponse({"status": "ready", "bundle_id": predictor.bundle.id})
        return JSONResponse({"status": "warming up"}, 503)

    facts, model = _version(predictor), _model(predictor, config)

    async def version_facts(request: Request) -> Response:
        return JSONResponse(facts)

    async def model_facts(request: Request) -> Response:
        return JSONResponse(model)

    app = Starlette(
        routes=[
            Route("/classify", classify, methods=["POST"]),
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/version", version_facts),
            Route("/model", model_facts),
            *feedback_routes(lambda: predictor, config.feedback, line, max_bytes),
            *(_page_route(path, *file) for path, file in _PAGE_FILES.items()),
        ],
        middleware=[Middleware(with_headers, headers=_SECURITY_HEADERS)],
        exception_handlers={
            RequestError: _on_request_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_bug,
        },
    )
    app.router.redirect_slashes = False
    return app


def _answer(predictor: Predictor, body: bytes, content_type: str, top_k: int) -> Response:
    """Runs in a thread: takes the request apart, decodes and infers."""
    uploads = photos_in(body, content_type)
    if len(uploads) == 1:
        return JSONResponse(_result(predictor, uploads[0], top_k))
    results = []
    for upload in uploads:
        try:
            results.append(_result(predictor, upload, top_k))
        except RequestError as error:
            results.append({"file": upload.name, "status": error.status, **_problem(error.what, error.remedy)})
    return JSONResponse({"results": results})


def _result(predictor: Predictor, upload: Upload, top_k: int) -> dict[str, object]:
    prediction = predictor.predict(upload.data, top_k)
    # `file` and `predicted` are what the clients of earlier classifiers read; those of ours look at `accepted` first.
    return {"file": upload.name, "predicted": prediction.label, **prediction.model_dump(mode="json")}


def _top_k(request: Request, default: int) -> int:
    text = request.query_params.get("top_k")
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and int(text) > 0):
        raise RequestError("`top_k` is not a number from 1 to 9999", status=400, remedy="Write, for example, ?top_k=3.")
    return int(text)


def _version(predictor: Predictor) -> dict[str, object]:
    bundle = predictor.bundle
    names = bundle.model_dump(mode="json", include={"run_id", "dataset_id", "snapshot_id", "classes", "created_at"})
    versions = {"fledged": version("fledged"), "onnxruntime": onnxruntime.__version__}
    return {**versions, "bundle_id": bundle.id, **names}


def _model(predictor: Predictor, config: ServeConfig) -> dict[str, object]:
    bundle = predictor.bundle
    told = {"classes", "preprocess", "backbone", "accuracy", "parity", "calibration", "unknown", "heatmap_cells"}
    limits = {"max_megabytes": config.max_megabytes, "top_k": config.top_k}
    told_too = {"limits": limits, "feedback": bool(config.feedback.folder)}
    return {"bundle_id": bundle.id, **bundle.model_dump(mode="json", include=told), **told_too}


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
