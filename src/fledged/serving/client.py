"""A client of /classify, wherever it is served: one connection, which may be signed for AWS or bear an API key."""

from __future__ import annotations

import http.client
import json
import os
import re
from typing import Any
from urllib.parse import urlsplit

from fledged.errors import DeployError, MissingExtra, RequestError
from fledged.settings.deploying import PHOTO_MEGABYTES

# A function may take 29 s, and a cold start comes before that.
_TIMEOUT_S = 60
_KEY = "FLEDGED_API_KEY"
# FUNCTION-URL-ID.lambda-url.REGION.on.aws and API-ID.execute-api.REGION.amazonaws.com
_HOST = re.compile(r"[^.]+\.(?P<service>lambda-url|execute-api)\.(?P<region>[a-z0-9-]+)\..+")
_REMEDIES = {
    401: f"Put the key into the environment variable {_KEY}.",
    403: f"Sign requests where they are signed for IAM, or put the API key into the environment variable {_KEY}.",
    404: "Name the address without /classify: the one that `sam deploy` printed.",
    413: f"On Lambda a photo may have {PHOTO_MEGABYTES} MB; send a smaller copy.",
    429: "It answers as many requests as it may; ask again later, or raise deploy.max_concurrency.",
}


class Client:
    """A connection to an address such as https://….lambda-url.eu-central-1.on.aws; for one thread.

    With `sign`, requests are signed for IAM with the credentials that boto3 finds. An API key is taken from the
    environment variable FLEDGED_API_KEY. Raises DeployError where that is no address.
    """

    def __init__(self, address: str, *, sign: bool = False) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DeployError("This is no address", where=address, remedy="It begins with https://")
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._sign = sign
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT_S)

    def classify(self, photo: bytes, top_k: int | None = None) -> dict[str, Any]:
        """The answer to a photo's bytes. Raises RequestError for a refusal, DeployError where nothing answers."""
        url = f"{self._base}/classify" + (f"?top_k={top_k}" if top_k else "")
        return self._ask("POST", url, photo, wanted="label")

    def get(self, path: str, wanted: str) -> dict[str, Any]:
        """What lies at `path`, which must tell of `wanted`. Raises as `classify` does."""
        return self._ask("GET", f"{self._base}{path}", b"", wanted)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _ask(self, method: str, url: str, body: bytes, wanted: str) -> dict[str, Any]:
        headers = {"accept": "application/json"}
        if body:
            headers["content-type"] = "application/octet-stream"
        if key := os.environ.get(_KEY):
            headers["x-api-key"] = key
        # A signature holds for minutes: each request gets its own.
        signed = headers | (_signature(method, url, body, headers) if self._sign else {})
        parts = urlsplit(url)
        try:
            self._connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, signed)
            response = self._connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            remedy = "Check the address, and that it is served there."
            raise DeployError(f"Nothing answers: {error}", where=url, remedy=remedy) from error
        return _checked(url, response.status, data, wanted)


def _checked(url: str, status: int, data: bytes, wanted: str) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = {}
    told: dict[str, Any] = answer if isinstance(answer, dict) else {}
    if status == 200 and wanted in told:
        return told
    what = told.get("error") or told.get("message") or told.get("Message") or "no answer of a classifier"
    remedy = told.get("remedy") or _REMEDIES.get(status, "Its log says more.")
    raise RequestError(f"It answered {status}: {what}", status=status, where=url, remedy=str(remedy))


def _signature(method: str, url: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
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
    stated = {name: value for name, value in headers.items() if name == "content-type"}
    request = AWSRequest(method, url, data=body, headers=stated)
    SigV4Auth(credentials, service, region).add_auth(request)
    return dict(request.headers.items())
