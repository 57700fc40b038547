"""The OpenAPI document as a page for people: made here, without a script and without anything from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_HEAD = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>The API · fledged</title>
  <link rel="icon" href="icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="docs.css">
</head>
<body>
<header><p class="brand"><img src="icon.svg" alt="" width="30" height="30"> <a href="./">fledged</a></p></header>
<main>
"""
_FOOT = "</main>\n</body>\n</html>\n"

_TRY = {
    "/classify": "curl -F photo=@photo.jpg {url}/classify",
    "/classify/url": """curl --json '{{"url": "https://example.org/photo.jpg"}}' {url}/classify/url""",
    "/feedback": "curl -F photo=@photo.jpg '{url}/feedback?label=CLASS'",
}


def docs_page(document: Mapping[str, Any], url: str) -> str:
    """HTML of an OpenAPI document; `url` is where the server is asked, for examples."""
    info = document["info"]
    parts = [
        _HEAD,
        f"<h1>The API</h1>\n<p>{_words(info['description'])} Version {escape(info['version'])}; for machines: "
        '<a href="openapi.json">openapi.json</a>.</p>\n',
        "<p>Where the server asks for keys, send yours as <code>Authorization: Bearer KEY</code> or "
        "<code>x-api-key: KEY</code>.</p>\n",
        '<nav aria-label="Addresses"><ul>\n',
        *(f'<li><a href="#{_anchor(path)}">{escape(path)}</a></li>\n' for path in document["paths"]),
        "</ul></nav>\n",
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts += _operation(path, method, operation, url)
    parts.append("<h2>Answers</h2>\n")
    for name, schema in document["components"]["schemas"].items():
        written = escape(json.dumps(schema, indent=2, ensure_ascii=False))
        parts.append(
            f'<details id="schema-{escape(name)}"><summary>{escape(name)}</summary>'
            f'<pre tabindex="0">{written}</pre></details>\n'
        )
    return "".join([*parts, _FOOT])


def _operation(path: str, method: str, operation: Mapping[str, Any], url: str) -> Iterator[str]:
    yield f'<section aria-labelledby="{_anchor(path)}">\n<h2 id="{_anchor(path)}">'
    yield f'<span class="method">{method.upper()}</span> {escape(path)}</h2>\n<p>{_words(operation["summary"])}.</p>\n'
    if "requestBody" in operation:
        body = operation["requestBody"]
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in body["content"])
        yield f"<p>{_words(body.get('description', 'The body is JSON.'))} As {kinds}.</p>\n"
    if path in _TRY:
        yield f'<pre tabindex="0">{escape(_TRY[path].format(url=url))}</pre>\n'
    if "parameters" in operation:
        yield _table_head("Parameters", "name", "is", "values")
        for each in operation["parameters"]:
            yield f"<tr><td><code>{escape(each['name'])}</code></td><td>{_words(each['description'])}</td>"
            yield f"<td>{_values(each['schema'])}</td></tr>\n"
        yield "</tbody></table>\n"
    yield _table_head("Answers", "status", "means", "body")
    for status, answer in operation["responses"].items():
        yield f"<tr><td>{status}</td><td>{_words(answer['description'])}</td><td>{_body(answer)}</td></tr>\n"
    yield "</tbody></table>\n</section>\n"


def _table_head(caption: str, *columns: str) -> str:
    cells = "".join(f"<th>{column}</th>" for column in columns)
    return f"<table><caption>{caption}</caption><thead><tr>{cells}</tr></thead><tbody>\n"


def _values(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(escape(value) for value in schema["enum"])
    if "minimum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    return "text"


def _body(answer: Mapping[str, Any]) -> str:
    kind, content = next(iter(answer["content"].items()))
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    return f'<a href="#schema-{escape(name)}">{escape(name)}</a>' if name else f"<code>{escape(kind)}</code>"


def _words(text: str) -> str:
    """Escaped, with what is between backticks as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))


def _anchor(path: str) -> str:
    return "path" + escape(path).replace("/", "-").replace(".", "-")
