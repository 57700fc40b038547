"""What can be asked and what is answered, as an OpenAPI 3.1 document: https://spec.openapis.org/oas/v3.1.1.html

The schemas of answers are those of the records that are answered, so they cannot say anything else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.metadata import version

from pydantic.json_schema import models_json_schema

from fledged.contract import BackboneInfo, Calibration, Preprocess, Unknown
from fledged.measured import Figure, Parity
from fledged.products import Prediction
from fledged.serving.metrics import MEDIA_TYPE
from fledged.settings.results import ServeConfig

Json = dict[str, object]

_FORMATS = ("image/*", "application/octet-stream")
_TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "number"}
_HOW = "A photo as the body (JPEG, PNG, WebP, GIF, BMP, PPM, TIFF, AVIF or HEIC), or a form with up to 100 of them."

# What may go wrong, by status.
_ERRORS = {
    400: "The request is not what it should be.",
    401: "No API key, or none that is known; only where the server asks for keys.",
    403: "A page of another site sent the request, or the address is not of the open internet.",
    404: "There is nothing under this address, or its server does not send it; no such class.",
    405: "This address is asked with another method.",
    408: "The request did not arrive in time.",
    413: "More bytes than `limits.max_megabytes` of /model.",
    415: "Not a photo, or not in a format that is read.",
    421: "The server is not asked under this name (Host).",
    422: "A photo that is damaged, too large or takes too long to decode.",
    429: "More photos are waiting than can be answered soon.",
    500: "The server failed.",
    503: "Not yet: the model is warming up.",
    504: "No answer within the deadline.",
    507: "There is no room for more feedback.",
}
_OF_ALL = (400, 401, 403, 421, 500)


def document(config: ServeConfig) -> Json:
    """The document of a server with these settings."""
    paths: dict[str, Json] = {"/classify": {"post": _classify()}}
    if config.by_url.enabled:
        paths["/classify/url"] = {"post": _classify_url()}
    if config.feedback.folder:
        paths["/feedback"] = {"post": _feedback()}
    paths |= {
        "/model": _get("model", "Classes, preprocessing, figures and limits", "Model"),
        "/version": _get("version", "What answers, and what it came from", "Version"),
        "/livez": _get("livez", "Whether the process is alive", "Alive", is_open=True),
        "/readyz": _get("readyz", "Whether it can answer photos", "Ready", (503,), is_open=True),
        "/metrics": {"get": _metrics()},
        "/openapi.json": _get("openapi", "This document", "Document", is_open=True),
        "/docs": {"get": _docs()},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fledged",
            "version": version("fledged"),
            "description": "Says what is on a photo. Errors are JSON with what is wrong (`error`) and what to do "
            "(`remedy`).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": _SECURITY},
        "security": [{}, {"bearer": []}, {"key": []}],
    }


_SECURITY: Json = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}

_PARAMETERS = [
    {
        "name": "top_k",
        "in": "query",
        "description": "Classes in an answer at most.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 9999},
    },
    {
        "name": "explain",
        "in": "query",
        "description": "1: with a heatmap of what speaks for the top class, where the bundle can make one.",
        "schema": {"type": "string", "enum": ["0", "1"]},
    },
]


def _classify() -> Json:
    return {
        "operationId": "classify",
        "summary": "What is on a photo, or on several",
        "parameters": _PARAMETERS,
        "requestBody": {"required": True, "description": _HOW, "content": _photo_content()},
        "responses": _answered("Answered", (408, 413, 415, 422, 429, 504)),
    }


def _feedback() -> Json:
    label: Json = {
        "name": "label",
        "in": "query",
        "required": True,
        "description": "What is on the photo: one of the classes of /model, or `unknown` for none of them.",
        "schema": {**_TEXT, "minLength": 1},
    }
    return {
        "operationId": "feedback",
        "summary": "What a photo really shows; kept for a person to look at",
        "parameters": [label],
        "requestBody": {"required": True, "description": "One photo.", "content": _photo_content()},
        "responses": _answered("Kept", (404, 408, 413, 415, 422, 429, 504, 507), status=201),
    }


def _photo_content() -> Json:
    photo: Json = {"type": "string", "format": "binary", "minLength": 1}
    form: Json = {
        "type": "object",
        "description": "Fields may have any name; those that are no files are passed over.",
        "properties": {"photo": photo},
        "required": ["photo"],
    }
    content: Json = {kind: {"schema": photo} for kind in _FORMATS}
    content["multipart/form-data"] = {"schema": form, "encoding": {"photo": {"contentType": "image/*"}}}
    return content


def _classify_url() -> Json:
    schema: Json = {
        "type": "object",
        "properties": {"url": {"type": "string", "format": "uri", "pattern": "^https?://", "maxLength": 4096}},
        "required": ["url"],
    }
    return {
        "operationId": "classifyUrl",
        "summary": "What is on a photo that lies on the web",
        "parameters": _PARAMETERS,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": _answered("Answer", (404, 408, 413, 415, 422, 429, 504)),
    }


def _get(name: str, summary: str, schema: str, errors: tuple[int, ...] = (), *, is_open: bool = False) -> Json:
    operation: Json = {"operationId": name, "summary": summary, "responses": _answered(schema, errors)}
    if is_open:
        operation["security"] = []
    return {"get": operation}


def _metrics() -> Json:
    answered: Json = {"description": "Text for Prometheus.", "content": {MEDIA_TYPE: {"schema": _TEXT}}}
    return {
        "operationId": "metrics",
        "summary": "Counts, times and drift, for Prometheus",
        "responses": {"200": answered, **_errors(())},
    }


def _docs() -> Json:
    answered: Json = {"description": "A page.", "content": {"text/html": {"schema": _TEXT}}}
    return {
        "operationId": "docs",
        "summary": "This document for people",
        "security": [],
        "responses": {"200": answered, **_errors(())},
    }


def _answered(schema: str, errors: tuple[int, ...], status: int = 200) -> Json:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {str(status): {"description": "The answer.", "content": content}, **_errors(errors)}


def _errors(of_this: tuple[int, ...]) -> Json:
    found: Json = {}
    for status in sorted({*_OF_ALL, *of_this}):
        schema = "Alive" if status == 503 else "Error"
        told: Json = {
            "description": _ERRORS[status],
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
        }
        if status == 429:
            told["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
        if status == 401:
            told["headers"] = {"WWW-Authenticate": {"schema": _TEXT}}
        found[str(status)] = told
    return found


def _schemas() -> Json:
    records = (Prediction, Preprocess, BackboneInfo, Figure, Parity, Calibration, Unknown)
    _, made = models_json_schema(
        [(record, "serialization") for record in records], ref_template="#/components/schemas/{model}"
    )
    schemas: Json = dict(made["$defs"])
    prediction = schemas.pop("Prediction")
    assert isinstance(prediction, Mapping)
    file: Json = {"type": ["string", "null"], "description": "As the client calls it."}
    of_file: Json = {"file": file, "predicted": {**_TEXT, "description": "The label again, for older clients."}}
    answer = {
        **prediction,
        "title": "Answer",
        "description": "What is on one photo.",
        "properties": {**of_file, **prediction["properties"]},
        # Every field is written, those with a default too, but for one.
        "required": [name for name in (*of_file, *prediction["properties"]) if name != "heatmap"],
    }
    failed = _object({"file": file, "status": {"type": "integer"}, "error": _TEXT, "remedy": _TEXT})
    several = _object({"results": {"type": "array", "items": {"anyOf": [_ref("Answer"), _ref("Failed")]}}})
    return schemas | {
        "Answer": answer,
        "Failed": {**failed, "description": "A photo among several that cannot be answered."},
        "Several": {**several, "description": "One for each photo of a form, in order."},
        "Answered": {"anyOf": [_ref("Answer"), _ref("Several")]},
        "Kept": _object({"sha256": _TEXT, "said": _TEXT, "answered": _TEXT}),
        "Error": _object({"error": _TEXT, "remedy": _TEXT}),
        "Alive": _object({"status": _TEXT}),
        "Ready": _object({"status": _TEXT, "bundle_id": _TEXT}),
        "Document": {"type": "object"},
        "Model": _model(),
        "Version": _version(),
    }


def _model() -> Json:
    maybe = {name: {"anyOf": [_ref(kind), {"type": "null"}]} for name, kind in _MAYBE.items()}
    return _object(
        {
            "bundle_id": _TEXT,
            "classes": {"type": "array", "items": _TEXT},
            "preprocess": _ref("Preprocess"),
            "backbone": _ref("BackboneInfo"),
            "accuracy": _ref("Figure"),
            "parity": _ref("Parity"),
            **maybe,
            "limits": _object({"max_megabytes": _NUMBER, "top_k": {"type": "integer"}}),
            "heatmap_cells": {"type": ["integer", "null"]},
            "feedback": {"type": "boolean"},
        },
    )


_MAYBE = {"calibration": "Calibration", "unknown": "Unknown"}


def _version() -> Json:
    names = ("fledged", "onnxruntime", "bundle_id", "run_id", "dataset_id", "snapshot_id")
    created: Json = {"type": "string", "format": "date-time"}
    classes: Json = {"type": "array", "items": _TEXT}
    return _object({**dict.fromkeys(names, _TEXT), "classes": classes, "created_at": created})


def _object(properties: Mapping[str, object], optional: Collection[str] = ()) -> Json:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
