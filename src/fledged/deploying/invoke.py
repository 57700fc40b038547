"""Ask a deployed model, and see how long it takes: the first request, which may start it, and those after."""

from __future__ import annotations

import http.client
import json
import os
import re
import time
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from fledged.errors import DeployError, MissingExtra, RequestError
from fledged.records import Record
from fledged.settings.deploying import PHOTO_MEGABYTES

# A function may take 29 s, and a cold start comes before that.
_TIMEOUT_S = 60
_KEY = "FLEDGED_API_KEY"
# FUNCTION-URL-ID.lambda-url.REGION.on.aws and API-ID.execute-api.REGION.amazonaws.com
_HOST = re.compile(r"[^.]+\.(?P<service>lambda-url|execute-api)\.(?P<region>[a-z0-9-]+)\..+")
_REMEDIES = {
    401: f"Put the key into the environment variable {_KEY}.",
    403: f"Add --sign where requests are signed for IAM, or put the API key into the environment variable {_KEY}.",
    404: "Name the address without /classify: the one that `sam deploy` printed.",
    413: f"On Lambda a photo may have {PHOTO_MEGABYTES} MB; send a smaller copy.",
    429: "It answers as many requests as it may; ask again later, or raise deploy.max_concurrency.",
}


class Invocation(Record):
    """What an address answered to one photo, asked again and again over one connection."""

    address: str
    answer: dict[str, Any]  # JSON of the last answer
    first_ms: float  # with the time to connect, and to start where nothing ran yet
    later_ms: tuple[float, ...]

    def lines(self) -> list[str]:
        """For the terminal."""
        names = [f"{entry['label']} {entry['score']:.1%}" for entry in self.answer.get("top_k", [])]
        said = ", ".join(names) if self.answer.get("accepted", True) else f"unknown, its likeliest: {', '.join(names)}"
        inside_ms = 1000 * self.answer.get("seconds", 0.0)
        told = [
            f"{said}   (bundle {self.answer.get('bundle_id', 'unnamed')})",
            f"First answer after {self.first_ms:,.0f} ms",
        ]
        if self.later_ms:
            told.append(
                f"Later ones: median {median(self.later_ms):,.0f} ms, slowest {max(self.later_ms):,.0f} ms of "
                f"{len(self.later_ms)}; the last took {inside_ms:,.0f} ms inside, the rest is the way"
            )
        return told


def invoke(address: str, photo: Path, *, times: int = 5, sign: bool = False) -> Invocation:
    """Send a photo `times` times. With `sign`, requests are signed for IAM with the credentials that boto3 finds.

    An API key is taken from the environment variable FLEDGED_API_KEY. Raises RequestError where the photo or the
    answer is no good, and DeployError where nothing answers.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DeployError("This is no address", where=address, remedy="It begins with https://")
    try:
        body = photo.read_bytes()
    except OSError as error:
        raise RequestError(
            f"Cannot read: {error.strerror}", status=404, where=photo, remedy="Check the path."
        ) from error
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/classify"
    headers = {"content-type": "application/octet-stream", "accept": "application/json"}
    if key := os.environ.get(_KEY):
        headers["x-api-key"] = key
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT_S)
    took_ms: list[float] = []
    answer: dict[str, Any] = {}
    try:
        for _ in range(times):
            # A signature holds for minutes: each request gets its own.
            signed = headers | (_signature(url, body, headers) if sign else {})
            start_s = time.perf_counter()
            connection.request("POST", urlsplit(url).path, body, signed)
            response = connection.getresponse()
            data = response.read()
            took_ms.append(1000 * (time.perf_counter() - start_s))
            answer = _checked(url, response.status, data)
    except (OSError, http.client.HTTPException) as error:
        remedy = "Check the address, and that the function is deployed."
        raise DeployError(f"Nothing answers: {error}", where=url, remedy=remedy) from error
    finally:
        connection.close()
    return Invocation(address=address, answer=answer, first_ms=took_ms[0], later_ms=tuple(took_ms[1:]))


def _checked(url: str, status: int, data: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = {}
    if status == 200 and isinstance(answer, dict) and "label" in answer:
        return answer
    told = answer if isinstance(answer, dict) else {}
    what = told.get("error") or told.get("message") or told.get("Message") or "no answer of a classifier"
    remedy = told.get("remedy") or _REMEDIES.get(status, "The function's log says more: sam logs --tail")
    raise RequestError(f"It answered {status}: {what}", status=status, where=url, remedy=str(remedy))


def _signature(url: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
    """Headers of AWS's signature, version 4."""
    try:
        import boto3
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
    except ImportError as error:
        raise MissingExtra("aws", "boto3") from error
    session = boto3.Session()
    credentials = session.get_credentials()
    host = _HOST.fullmatch(urlsplit(url).hostname or "")
    region = host["region"] if host else session.region_name
    if credentials is None or region is None:
        remedy = "Set credentials and a region, for example with: aws configure"
        raise DeployError("There are no credentials to sign with", where=url, remedy=remedy)
    service = "execute-api" if host and host["service"] == "execute-api" else "lambda"
    request = AWSRequest("POST", url, data=body, headers={"content-type": headers["content-type"]})
    SigV4Auth(credentials, service, region).add_auth(request)
    return dict(request.headers.items())
