"""Paths that would lead out of the page's folder, were there one: every file is one of a fixed few."""

from __future__ import annotations

import pytest

from tests.serving.security.asking import statuses, told

GROUP = "Paths"

CASES = {
    f"T{number:02} {path.decode('latin-1')}": path
    for number, path in enumerate(
        (
            b"/../etc/passwd",
            b"/../../../../etc/passwd",
            b"/%2e%2e/%2e%2e/etc/passwd",
            b"/..%2f..%2fetc%2fpasswd",
            b"/%252e%252e%252fetc/passwd",
            b"/..%5c..%5cetc%5cpasswd",
            b"/..\\..\\etc\\passwd",
            b"//etc/passwd",
            b"/./././etc/passwd",
            b"/page.css/../../app.py",
            b"/page.css/..;/app.py",
            b"/page.css%00.py",
            b"/page.css/",
            b"/page.css%2f..%2f..%2fapp.py",
            b"/....//....//etc/passwd",
            b"/%c0%ae%c0%ae/etc/passwd",
            b"/%ff%fe/etc/passwd",
            b"/model/../../bundle.json",
            b"/model.onnx",
            b"/bundle.json",
            b"/static/..%2f..%2fbundle.json",
            b"/file:///etc/passwd",
            b"http://localhost/../../etc/passwd",
            b"/?file=../../etc/passwd",
        ),
        start=1,
    )
}


@pytest.mark.parametrize("case", CASES)
def test_paths(safe_url: str, case: str) -> None:
    answer = told(safe_url, b"GET " + CASES[case] + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b"root:" not in answer
    assert b'"preprocess"' not in answer
    assert b"import " not in answer
    expected = 200 if CASES[case].startswith(b"/?") else 404  # a query is no path: that is the page
    assert statuses(answer) == [expected] or statuses(answer) == [400]
