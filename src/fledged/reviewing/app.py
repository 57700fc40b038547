"""HTTP for the reviewer's desk: the page, the photos and the decisions, for the holder of the token on this machine."""

from __future__ import annotations

import hashlib
import hmac
import logging
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread
from pydantic import Field, ValidationError, field_validator
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fledged.engine import n_workers
from fledged.errors import FledgedError, RequestError
from fledged.images import BadPhoto
from fledged.records import Record
from fledged.reviewing.decisions import folder_name
from fledged.reviewing.desk import Desk
from fledged.reviewing.pictures import SIZES_PX
from fledged.serving.headers import with_headers
from fledged.serving.uploads import read_body

_PAGE = Path(__file__).parent / "page"
_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_MAX_BODY_BYTES = 16 * 2**20  # a decision about each of 100,000 photos
_LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
# Another site can send a form or an image request here, but no header of its own.
_OWN_HEADER = "x-fledged-review"
_TOKEN_HEADER = "x-fledged-token"

_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_REFUSED = "This page opens with the address that `fledged review` printed last, token and all.\n"


class Wish(Record):
    """A decision that the page asks for."""

    photo: int = Field(ge=0)
    action: Literal["keep", "drop", "relabel", "undecide"]
    label: str | None = None
    seen: str | None = None  # the name of the decision that the reviewer saw for this photo

    @field_validator("label")
    @classmethod
    def _a_folder_name(cls, label: str | None) -> str | None:
        return None if label is None else folder_name(label)


class Wishes(Record):
    """Decisions that are made together: all of them, or none."""

    decisions: tuple[Wish, ...] = Field(min_length=1)


def create_app(desk: Desk, token: str) -> Starlette:
    """The HTTP face of a desk."""
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    # As many photos at a time as there are cores; decisions do not wait in line behind them.
    decoding = anyio.CapacityLimiter(n_workers(0))

    async def everything(request: Request) -> Response:
        return Response(await anyio.to_thread.run_sync(desk.everything), media_type="application/json")

    async def changes(request: Request) -> Response:
        since = _number(request.query_params.get("since", "0"))
        return JSONResponse(await anyio.to_thread.run_sync(desk.changes_since, since))

    async def photos(request: Request) -> Response:
        label = request.query_params.get("label", "")
        return JSONResponse({"photos": await anyio.to_thread.run_sync(desk.photos_of, label)})

    async def photo(request: Request) -> Response:
        row, size = _number(request.path_params["row"]), request.query_params.get("size", "thumb")
        if row >= desk.n_photos or size not in SIZES_PX:
            raise RequestError("There is no such photo", status=404)
        try:
            data = await anyio.to_thread.run_sync(desk.picture, row, size, limiter=decoding)
        except BadPhoto as reason:
            return JSONResponse({"error": str(reason)}, 422)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})

    async def decide(request: Request) -> Response:
        wishes = await _wishes(request, desk.n_photos)
        return await anyio.to_thread.run_sync(_decide, desk, wishes)

    files = {f"/{file.name}": file for file in sorted(_PAGE.iterdir()) if file.suffix in _MEDIA_TYPES}
    app = Starlette(
        routes=[
            Route("/queue", everything),
            Route("/changes", changes),
            Route("/photos", photos),
            Route("/photo/{row}", photo),
            Route("/decisions", decide, methods=["POST"]),
            _page_route("/", _PAGE / "index.html"),
            *(_page_route(path, file) for path, file in files.items()),
        ],
        middleware=[Middleware(with_headers, headers=_SECURITY_HEADERS), Middleware(_Guard, token=token)],
        exception_handlers={
            FledgedError: _on_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_bug,
        },
    )
    app.router.redirect_slashes = False
    return app


def _decide(desk: Desk, wishes: tuple[Wish, ...]) -> Response:
    rows = [wish.photo for wish in wishes]
    actions = [(wish.action, wish.label) for wish in wishes]
    made = desk.decide(rows, actions, [wish.seen for wish in wishes])
    standing = {"decisions": desk.standing_of(rows)}
    if made:
        return JSONResponse(standing)
    error = "Somebody decided about this in the meantime; nothing was changed"
    return JSONResponse({"error": error, "remedy": "Look at it again, and decide anew.", **standing}, 409)


async def _wishes(request: Request, n_photos: int) -> tuple[Wish, ...]:
    try:
        wishes = Wishes.model_validate_json(await read_body(request, _MAX_BODY_BYTES)).decisions
    except ValidationError as error:
        raise RequestError(f"This is no decision: {error.errors()[0]['msg']}", status=400) from error
    rows = [wish.photo for wish in wishes]
    if max(rows) >= n_photos or len(set(rows)) < len(rows):
        raise RequestError("Each decision is about a photo of its own", status=400)
    if any((wish.action == "relabel") != (wish.label is not None) for wish in wishes):
        raise RequestError("A label belongs to the action relabel, and only to it", status=400)
    return wishes


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 12):
        raise RequestError("This is no number", status=400)
    return int(text)


def _page_route(path: str, file: Path) -> Route:
    content, media_type = file.read_bytes(), _MEDIA_TYPES[file.suffix]

    async def page_file(request: Request) -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return Route(path, page_file)


class _Guard:
    """Lets in who knows the token, from pages of this server, under a name of this machine."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()
        # Cookies do not know ports: two desks on one machine need two names.
        self._cookie = f"fledged_review_{hashlib.sha256(self._token).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        answer = self._refusal(request) or self._welcome(request)
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        headers = request.headers
        host = headers.get("host", "")
        if host.rpartition(":")[0] not in _LOCAL_NAMES and host not in _LOCAL_NAMES:
            return PlainTextResponse("This server answers to localhost only.\n", 403)  # a name that was rebound to us
        given = (headers.get(_TOKEN_HEADER), request.cookies.get(self._cookie), self._in_url(request))
        if not any(self._is_token(text) for text in given):
            return PlainTextResponse(_REFUSED, 403)
        if request.method not in ("GET", "HEAD") and not _from_own_page(headers, host):
            return PlainTextResponse("Decisions are taken from the page of this server only.\n", 403)
        return None

    def _welcome(self, request: Request) -> Response | None:
        """The token goes from the URL into a cookie, so that it stays out of the browser's history and sight."""
        if not self._is_token(self._in_url(request)):
            return None
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie, self._token.decode(), httponly=True, samesite="lax")
        return answer

    def _in_url(self, request: Request) -> str | None:
        return request.query_params.get("token") if request.scope["path"] == "/" else None

    def _is_token(self, text: str | None) -> bool:
        return text is not None and hmac.compare_digest(text.encode(), self._token)


def _from_own_page(headers: Headers, host: str) -> bool:
    same_origin = headers.get("origin", f"http://{host}") == f"http://{host}"
    return same_origin and headers.get("sec-fetch-site", "same-origin") == "same-origin" and _OWN_HEADER in headers


async def _on_error(request: Request, error: Exception) -> Response:
    """A RequestError has its status; all else is about files that a person has to look after: the log, the disk."""
    assert isinstance(error, FledgedError)
    status = error.status if isinstance(error, RequestError) else 503
    place = f" ({error.where})" if error.where else ""
    headers = {"Connection": "close"} if status == 413 else None
    return JSONResponse({"error": error.what + place, "remedy": error.remedy}, status, headers)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail, "remedy": ""}, error.status_code, error.headers)


async def _on_disconnect(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


async def _on_bug(request: Request, error: Exception) -> Response:
    headers = _SECURITY_HEADERS  # this answer is made outside of the middleware
    return JSONResponse({"error": "The server failed", "remedy": "Its terminal says more."}, 500, headers)
