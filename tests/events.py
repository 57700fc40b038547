"""Events as AWS makes them: of an API Gateway in both of its formats, and of a function URL."""

from __future__ import annotations

import base64
from typing import Any

KINDS = ("url", "http_api", "rest_api")


def event(
    kind: str, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, query: str = ""
) -> dict[str, Any]:
    """What the handler is called with for this request."""
    encoded = base64.b64encode(body).decode()
    told = {"host": "abc.example", "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"} | (headers or {})
    if kind == "rest_api":
        pairs = dict(pair.split("=") for pair in query.split("&") if pair)
        return {
            "resource": "/{proxy+}",
            "path": path,
            "httpMethod": method,
            "headers": told,
            "multiValueHeaders": {name: [value] for name, value in told.items()},
            "queryStringParameters": pairs or None,
            "multiValueQueryStringParameters": {name: [value] for name, value in pairs.items()} or None,
            "pathParameters": {"proxy": path.lstrip("/")},
            "stageVariables": None,
            "requestContext": {
                "resourcePath": "/{proxy+}",
                "httpMethod": method,
                "path": f"/live{path}",
                "stage": "live",
                "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
                "identity": {"sourceIp": "203.0.113.9", "userAgent": "test"},
            },
            "body": encoded if body else None,
            "isBase64Encoded": bool(body),
        }
    return {
        "version": "2.0",
        "routeKey": "$default" if kind == "url" else "ANY /{proxy+}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": told,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc",
            "domainName": "abc.lambda-url.eu-central-1.on.aws" if kind == "url" else "abc.execute-api.example",
            "domainPrefix": "abc",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.9",
                "userAgent": "test",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "21/Nov/2026:16:00:00 +0000",
            "timeEpoch": 1795276800000,
        },
        "body": encoded if body else "",
        "isBase64Encoded": bool(body),
    }
