"""The OpenAPI document says what is so: real answers fit its schemas, and schemathesis finds nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from playwright.sync_api import Browser

from fledged.predicting.predictor import Predictor, load
from tests.browsing import DESKTOP, PHONE, barriers, context_of
from tests.bundles import make_tiny_bundle
from tests.serving.conftest import serving
from tests.serving.photos import encoded, jpeg, picture

SCHEMATHESIS = os.environ.get("FLEDGED_SCHEMATHESIS") or shutil.which("schemathesis")


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    return dict(client.get("/openapi.json").json())


@pytest.fixture(scope="module")
def with_limits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    predictor = load(make_tiny_bundle(tmp_path_factory.mktemp("knows"), knows_limits=True))
    with serving(predictor, by_url={"enabled": True}) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def check(document: dict[str, Any], answer: httpx.Response) -> None:
    """That this status, content type and body are in the document."""
    operation = document["paths"][answer.request.url.path][answer.request.method.lower()]
    told = operation["responses"][str(answer.status_code)]
    kind, content = next(iter(told["content"].items()))
    assert answer.headers["content-type"].split(";")[0] == kind.split(";")[0]
    if kind == "application/json":
        # References are to the document, so the schema is laid into it.
        jsonschema.Draft202012Validator({**document, **content["schema"]}).validate(answer.json())
    for name in told.get("headers", ()):
        assert name in answer.headers


TWO = [("f", ("1.jpg", jpeg("red"))), ("f", ("2.txt", b"no photo"))]


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("", {"content": jpeg()}, 200),
        ("?top_k=1&explain=0", {"content": encoded(picture(), "PNG")}, 200),
        ("?explain=1", {"content": jpeg()}, 200),
        ("", {"files": {"photo": ("a.jpg", jpeg())}}, 200),
        ("", {"files": TWO}, 200),
        ("", {"content": b""}, 400),
        ("?top_k=0", {"content": jpeg()}, 400),
        ("?explain=yes", {"content": jpeg()}, 400),
        ("", {"content": b"\xff" * (21 * 2**20)}, 413),
        ("", {"content": b"words"}, 415),
        ("", {"content": jpeg(size=(300, 300))[:-2000]}, 422),
    ],
)
def test_answers_to_photos_fit(
    client: httpx.Client, with_limits: httpx.Client, query: str, body: dict[str, Any], status: int
) -> None:
    for each in (client, with_limits):
        answer = each.post(f"/classify{query}", **body)
        assert answer.status_code == status
        check(each.get("/openapi.json").json(), answer)


def test_facts_and_refusals_fit(with_limits: httpx.Client, client: httpx.Client) -> None:
    for each in (with_limits, client):
        document = each.get("/openapi.json").json()
        for path, operations in document["paths"].items():
            if "get" in operations:
                check(document, each.get(path))
            method = next(iter(operations))
            check(document, each.request(method, path, headers={"Host": "evil.example"}))


def test_every_route_is_in_the_document(document: dict[str, Any], client: httpx.Client) -> None:
    for path in ("/classify", "/model", "/version", "/livez", "/readyz", "/metrics", "/openapi.json", "/docs"):
        assert path in document["paths"]
    assert "/classify/url" not in document["paths"]  # where it is off
    assert client.post("/classify/url", json={"url": "http://example.org/"}).status_code == 404


def test_the_names_of_operations_are_unique(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for each in document["paths"].values() for operation in each.values()]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere(client: httpx.Client, document: dict[str, Any]) -> None:
    text = client.get("/openapi.json").text
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in document["components"]["schemas"]


@pytest.mark.browser
@pytest.mark.parametrize(
    "options", [DESKTOP, PHONE, {**DESKTOP, "color_scheme": "dark"}], ids=["wide", "phone", "dark"]
)
def test_the_page_of_it(browser: Browser, url: str, options: dict[str, Any]) -> None:
    with context_of(browser, **options) as context:
        page = context.new_page()
        page.goto(f"{url}/docs")
        assert page.locator("h2 >> text=/classify").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert not barriers(page)
        page.click("text=Answered")
        page.wait_for_url("**#schema-Answered")


def test_the_page_asks_nothing_of_others_and_runs_no_script(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert "<script" not in page
    assert "style=" not in page
    assert set(re.findall(r'(?:src|href)="([^"#]+)', page)) == {"icon.svg", "docs.css", "./", "openapi.json"}


def test_the_page_shows_a_hosts_name_as_text(client: httpx.Client) -> None:
    page = client.get("/docs", headers={"Host": 'localhost:1"><script>'})
    assert page.status_code == 421
    assert "<script" not in page.text


@pytest.mark.skipif(not SCHEMATHESIS, reason="FLEDGED_SCHEMATHESIS names no schemathesis; `make api` does")
def test_schemathesis_finds_nothing(predictor: Predictor, tmp_path: Path) -> None:
    with serving(predictor, by_url={"enabled": True}, feedback={"folder": str(tmp_path / "said")}) as url:
        found = subprocess.run(
            [str(SCHEMATHESIS), "run", f"{url}/openapi.json", "--max-examples", "30", "--seed", "1"],
            env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=250,
        )
    assert found.returncode == 0, found.stdout


def test_feedback_is_in_the_document_where_it_is_taken(tmp_path: Path, document: dict[str, Any]) -> None:
    assert "/feedback" not in document["paths"]
    predictor = load(make_tiny_bundle(tmp_path / "work", explains=True))
    with (
        serving(predictor, feedback={"folder": str(tmp_path / "said")}) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        told = client.get("/openapi.json").json()
        for query, body, status in (
            ("?label=red", jpeg(), 201),
            ("", jpeg(), 400),
            ("?label=", jpeg(), 400),
            ("?label=owl", jpeg(), 404),
            ("?label=red", b"words", 415),
        ):
            answer = client.post(f"/feedback{query}", content=body)
            assert answer.status_code == status
            check(told, answer)
        page = client.get("/docs")
        check(told, page)
        assert "feedback?label=CLASS" in page.text
        explained = client.post("/classify?explain=1", content=jpeg())
        assert explained.json()["heatmap"]
        check(told, explained)
