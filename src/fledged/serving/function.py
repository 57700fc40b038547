"""What AWS Lambda calls: the app that `fledged serve` runs, fed with events in the place of connections.

`FLEDGED_BUNDLE` names the bundle's folder, or `s3://BUCKET/…/SHA256.zip`, which is fetched and checked; without it, it
is the folder `bundle` beside the package. The bundle is opened, verified and warmed up while this module is imported,
which Lambda does before the first request (and once and for all where SnapStart is on).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mangum import Mangum
from starlette.types import ASGIApp, Receive, Scope, Send

import fledged
from fledged.predicting.objects import fetched
from fledged.predicting.predictor import load
from fledged.serving.app import create_app
from fledged.serving.keys import read_keys
from fledged.settings.deploying import PHOTO_MEGABYTES
from fledged.settings.results import ServeConfig
from fledged.settings.serving import AccessConfig

_HOW = "Send an HTTP request by way of a function URL or an API Gateway; GET / shows how."


def handler(event: Any, context: Any) -> dict[str, Any]:
    """The answer to an event of a function URL or of an API Gateway (HTTP or REST); any other event is refused."""
    start_s = time.perf_counter()
    request = _request(event)
    if request is None:
        answer = _refusal("This event is not an HTTP request")
    else:
        try:
            answer = _adapter(event, context)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError):  # of an event that only looks like one
            answer = _refusal("This event is not a whole HTTP request")
    _log(request, answer, time.perf_counter() - start_s)
    return answer


def _request(event: Any) -> tuple[str, str] | None:
    """Method and path, of both formats of an event; None where it is something else, or not what AWS would send."""
    if not isinstance(event, dict) or not isinstance(context := event.get("requestContext"), dict):
        return None
    http = context.get("http")
    if isinstance(http, dict):
        method, path = http.get("method"), event.get("rawPath")
    else:
        method, path = event.get("httpMethod"), event.get("path")
    headers, body = event.get("headers") or {}, event.get("body") or ""
    are_texts = all(isinstance(text, str) for text in (method, path, body, event.get("rawQueryString", "")))
    if not are_texts or not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        return None
    return str(method), str(path)


def _refusal(what: str) -> dict[str, Any]:
    body = json.dumps({"error": what, "remedy": _HOW})
    return {"statusCode": 400, "headers": {"content-type": "application/json"}, "body": body, "isBase64Encoded": False}


def _log(request: tuple[str, str] | None, answer: dict[str, Any], seconds: float) -> None:
    """A line of JSON for each request: never what was sent, nor who sent it."""
    method, path = request or ("", "")
    told = {
        "method": method[:16],
        "path": path[:128],
        "status": answer["statusCode"],
        "ms": round(1000 * seconds, 1),
        "bundle_id": _predictor.bundle.id,
    }
    sys.stderr.write(json.dumps(told) + "\n")


def _below_its_stage(app: ASGIApp) -> ASGIApp:
    """The same app, told where it lies: REST APIs have it in a folder, their stage, and do not say so in the path."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        whole = scope["aws.event"]["requestContext"].get("path")
        if isinstance(whole, str) and whole.endswith(scope["path"]):
            scope["root_path"] = whole.removesuffix(scope["path"])
        await app(scope, receive, send)

    return answering


def _folder() -> Path:
    place = os.environ.get("FLEDGED_BUNDLE", "")
    if place.startswith("s3://"):
        return fetched(place, Path(tempfile.gettempdir()) / "fledged")
    return Path(place) if place else Path(fledged.__file__).parents[1] / "bundle"


logging.getLogger("mangum").setLevel(logging.ERROR)
_predictor = load(_folder())
# Names are AWS's to give, and photos are decoded here: nothing else runs in this process meanwhile.
_settings = ServeConfig(max_megabytes=PHOTO_MEGABYTES, access=AccessConfig(allowed_hosts=("*",)))
# Mangum has types of its own for the same thing.
_app: Any = _below_its_stage(create_app(_predictor, _settings, keys=read_keys("")))
_adapter = Mangum(_app, lifespan="off")
