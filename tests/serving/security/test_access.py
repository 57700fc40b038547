"""Names, sites and keys: who is answered, and who is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from fledged.predicting.predictor import Predictor
from fledged.serving.keys import Keys, read_keys
from tests.serving.conftest import serving
from tests.serving.photos import jpeg

GROUP = "Names, sites and keys"
KEY, OTHER = "kestrel-kestrel-kestrel-1", "kestrel-kestrel-kestrel-2"
SITE = "https://birds.example"


@pytest.fixture(scope="module")
def keys() -> Keys:
    return read_keys("", {"FLEDGED_API_KEYS": f"{KEY}, {OTHER}"})


@pytest.fixture(scope="module")
def clients(predictor: Predictor, keys: Keys) -> Iterator[dict[str, httpx.Client]]:
    """A server as it is by default, one with keys, one with names, one that lets a site ask."""
    access = {"allowed_hosts": ["birds.example", "*.birds.example"]}
    with (
        serving(predictor) as plain,
        serving(predictor, keys=keys) as locked,
        serving(predictor, access=access) as named,
        serving(predictor, keys=keys, access={"allow_origins": SITE}) as open_to_a_site,
        ExitStack() as opened,
    ):
        urls = {"plain": plain, "locked": locked, "named": named, "site": open_to_a_site}
        yield {name: opened.enter_context(httpx.Client(base_url=url, timeout=30)) for name, url in urls.items()}


# server, method, path, headers, status
CASES: dict[str, tuple[str, str, str, dict[str, str], int]] = {
    "H01 localhost": ("plain", "GET", "/model", {"Host": "localhost:8000"}, 200),
    "H02 127.0.0.1": ("plain", "GET", "/model", {"Host": "127.0.0.1"}, 200),
    "H03 [::1]": ("plain", "GET", "/model", {"Host": "[::1]:8000"}, 200),
    "H04 another name (DNS rebinding)": ("plain", "GET", "/model", {"Host": "rebound.evil.example"}, 421),
    "H05 another name that begins like ours": ("plain", "GET", "/model", {"Host": "localhost.evil.example"}, 421),
    "H06 another name that ends like ours": ("plain", "GET", "/model", {"Host": "evil-localhost"}, 421),
    "H07 a name behind brackets": ("plain", "GET", "/model", {"Host": "[::1].evil.example"}, 421),
    "H08 a name with a password": ("plain", "GET", "/model", {"Host": "localhost:8000@evil.example"}, 421),
    "H09 an empty name": ("plain", "GET", "/model", {"Host": ""}, 421),
    "H10 X-Forwarded-Host is not believed": (
        "plain",
        "GET",
        "/model",
        {"Host": "evil.example", "X-Forwarded-Host": "localhost"},
        421,
    ),
    "H11 a name that is allowed": ("named", "GET", "/model", {"Host": "birds.example:443"}, 200),
    "H12 a name below an allowed one": ("named", "GET", "/model", {"Host": "EU.birds.example."}, 200),
    "H13 a name that only ends like it": ("named", "GET", "/model", {"Host": "evilbirds.example"}, 421),
    "H14 the probes are asked by name as well": ("plain", "GET", "/livez", {"Host": "evil.example"}, 421),
    "C01 a page of another site posts a photo": ("plain", "POST", "/classify", {"Origin": "https://evil.example"}, 403),
    "C02 a page without a site posts a photo": ("plain", "POST", "/classify", {"Origin": "null"}, 403),
    "C03 a page of another port posts a photo": ("plain", "POST", "/classify", {"Origin": "http://127.0.0.1:1"}, 403),
    "C04 a preflight is not answered": (
        "plain",
        "OPTIONS",
        "/classify",
        {"Origin": SITE, "Access-Control-Request-Method": "POST"},
        405,
    ),
    "C05 a preflight of an allowed site is": (
        "site",
        "OPTIONS",
        "/classify",
        {"Origin": SITE, "Access-Control-Request-Method": "POST"},
        200,
    ),
    "C06 a preflight of another site is not": (
        "site",
        "OPTIONS",
        "/classify",
        {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        400,
    ),
    "C07 an allowed site needs a key as well": ("site", "POST", "/classify", {"Origin": SITE}, 401),
    "C08 an allowed site with a key": ("site", "POST", "/classify", {"Origin": SITE, "x-api-key": KEY}, 200),
    "C09 a site that begins like an allowed one": (
        "site",
        "POST",
        "/classify",
        {"Origin": SITE + ".evil.example", "x-api-key": KEY},
        403,
    ),
    "A01 no key": ("locked", "POST", "/classify", {}, 401),
    "A02 a key as bearer": ("locked", "POST", "/classify", {"Authorization": f"Bearer {KEY}"}, 200),
    "A03 a key as x-api-key": ("locked", "POST", "/classify", {"x-api-key": OTHER}, 200),
    "A04 a wrong key": ("locked", "POST", "/classify", {"x-api-key": KEY[:-1] + "9"}, 401),
    "A05 the beginning of a key": ("locked", "POST", "/classify", {"x-api-key": KEY[:-1]}, 401),
    "A06 a key and more": ("locked", "POST", "/classify", {"x-api-key": KEY + "1"}, 401),
    "A07 an empty key": ("locked", "POST", "/classify", {"x-api-key": ""}, 401),
    "A08 a key in another scheme": ("locked", "POST", "/classify", {"Authorization": f"Basic {KEY}"}, 401),
    "A09 both keys in one": ("locked", "POST", "/classify", {"x-api-key": f"{KEY},{OTHER}"}, 401),
    "A10 a key in the query does not count": ("locked", "POST", f"/classify?x-api-key={KEY}", {}, 401),
    "A11 /model needs one": ("locked", "GET", "/model", {}, 401),
    "A12 /metrics needs one": ("locked", "GET", "/metrics", {}, 401),
    "A13 what is not there needs one": ("locked", "GET", "/nothing", {}, 401),
    "A14 another spelling of the path needs one": ("locked", "POST", "/classify/", {}, 401),
    "A15 probes need none": ("locked", "GET", "/readyz", {}, 200),
    "A16 the page needs none": ("locked", "GET", "/", {}, 200),
    "A17 the document needs none": ("locked", "GET", "/openapi.json", {}, 200),
    "A18 a key of bytes that are no ASCII": (
        "locked",
        "POST",
        "/classify",
        {"x-api-key": "schl\u00fcssel-schl\u00fcssel"},
        401,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_access(clients: dict[str, httpx.Client], case: str) -> None:
    server, method, path, headers, status = CASES[case]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    content = jpeg("red") if method == "POST" else b""
    answer = clients[server].request(method, path, headers=raw, content=content)
    assert answer.status_code == status, answer.text
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
    if status in (401, 403, 421):
        assert set(answer.json()) == {"error", "remedy"}
    assert KEY not in answer.text
    allowed = answer.headers.get("access-control-allow-origin")
    assert allowed == (SITE if server == "site" and headers.get("Origin") == SITE else None)


def test_a_key_takes_as_long_whatever_of_it_is_right(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("fledged.serving.keys.hmac.compare_digest", compare)
    for key, is_one in ((KEY, True), (OTHER, True), (KEY[:-1], False), ("", False)):
        compared.clear()
        assert keys.allow({"x-api-key": key}) is is_one
        assert len(compared) == 4  # two headers against two keys, found or not
        assert {len(each) for pair in compared for each in pair} == {32}
