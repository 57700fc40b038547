"""Models that answer from outside of this process: a real server, and how a function that fails is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fledged.deploying.deploy import deploy
from fledged.errors import DeployError, ProductError, RequestError
from fledged.evaluating.compare import compare
from fledged.evaluating.evaluate import evaluate
from fledged.measuring import outside
from fledged.predicting.predictor import load
from fledged.products import Bundle, Package
from fledged.progress import silent
from fledged.serving.client import Client
from tests.bundles import make_tiny_bundle
from tests.serving.conftest import serving
from tests.serving.photos import encoded, jpeg, picture


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_tiny_bundle(tmp_path / "work", knows_limits=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Labelled photos; one of them is no photo, and one is wrong."""
    for colour in ("red", "green", "blue"):
        (tmp_path / "photos" / colour).mkdir(parents=True)
        for n in range(3):
            (tmp_path / "photos" / colour / f"{n}.jpg").write_bytes(encoded(picture(colour, (64 + n, 48)), "JPEG"))
    (tmp_path / "photos" / "red" / "text.jpg").write_text("no photo")
    (tmp_path / "photos" / "red" / "green.jpg").write_bytes(jpeg("green"))
    return tmp_path / "photos"


@pytest.fixture
def address(bundle: Bundle) -> Iterator[str]:
    with serving(load(bundle)) as url:
        yield url


def test_a_served_model_is_judged_as_its_bundle_is(address: str, bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    served, here = (evaluate(name, folder, work=tmp_path / "work", report=silent) for name in (address, bundle))
    assert served.subject == f"{address} bundle:{bundle.id}"
    assert (served.accuracy.n, served.n_unreadable, served.confusion) == (10, 1, here.confusion)
    # Its scores are those of single photos, the bundle's those of batches.
    for name in ("p_red", "p_green", "p_blue", "unknown_score", "accepted"):
        ours, theirs = (report.predictions()[name].cast(float) for report in (here, served))
        assert (ours - theirs).abs().max() < 1e-6  # type: ignore[operator]
    assert served.predictions()["error"].drop_nulls().to_list() == [
        "It answered 415: This is not a photo in a known format"
    ]


@pytest.mark.parametrize("status", [401, 429, 500, 504])
def test_what_is_not_the_photos_fault_ends_the_evaluation(
    address: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    def refuse(*_: object) -> None:
        raise RequestError("The server has no time", status=status)

    monkeypatch.setattr(Client, "classify", refuse)
    with pytest.raises(RequestError, match="The server has no time"):
        evaluate(address, folder, work=tmp_path / "work", report=silent)


def test_it_is_compared_with_others(address: str, bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    compared = compare(address, bundle, folder=folder, work=tmp_path / "work", report=silent)
    served = next(one for one in compared.contenders if one.name.startswith("http"))
    assert (served.megabytes, served.ms_a_photo) == (None, None)
    assert Path(compared.page).exists()


def test_where_nothing_answers_it_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="Nothing answers"):
        evaluate("http://127.0.0.1:9", folder, work=tmp_path, report=silent)


def test_an_address_of_something_else_is_told(address: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="It answered 404"):
        evaluate(f"{address}/classify", folder, work=tmp_path, report=silent)


ANSWERS: dict[str, object] = {
    "/version": {"bundle_id": "b", "run_id": "r", "dataset_id": "d"},
    "/model": {
        "classes": ["blue", "green", "red"],
        "preprocess": {"size_px": 32, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        "backbone": {"name": "n", "weights_origin": "o", "weights_sha256": "", "n_features": 3, "n_parameters": 3},
    },
    "/classify": {"label": "red", "top_k": [{"label": c, "score": 1 / 3} for c in ("red", "green", "blue")]},
}


@contextmanager
def answering(answers: dict[str, object]) -> Iterator[str]:
    """A server of somebody else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            body = json.dumps(answers[self.path.partition("?")[0]]).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_who_answers_as_fledged_does_is_judged(folder: Path, tmp_path: Path) -> None:
    with answering(ANSWERS) as url:
        report = evaluate(url, folder, work=tmp_path, report=silent)
    assert (report.subject, report.accuracy.n) == (f"{url} bundle:b", 11)


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("/version", {"bundle_id": "b"}, "run_id: Field required.*/version"),
        ("/model", {"classes": "red"}, "classes: Input should be a valid tuple.*/model"),
        ("/classify", {"label": "red", "top_k": ["red"]}, r"top_k\.0: "),
        ("/classify", {"label": "red", "top_k": []}, "other classes than it says"),
    ],
)
def test_who_answers_almost_as_fledged_does_is_told(
    path: str, answer: object, said: str, folder: Path, tmp_path: Path
) -> None:
    with answering(ANSWERS | {path: answer}) as url, pytest.raises(ProductError, match=said):
        evaluate(url, folder, work=tmp_path, report=silent)


@pytest.fixture
def package(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """One without its libraries: its function cannot start."""
    (tmp_path / "libraries").mkdir()
    monkeypatch.setattr("fledged.deploying.distributions.unpacked", lambda *_: tmp_path / "libraries")
    monkeypatch.setattr("fledged.deploying.package.find_interpreter", lambda _: None)
    return deploy(bundle, work=tmp_path / "work", report=silent)


def test_a_function_that_ends_says_why(
    package: Package, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "find_interpreter", lambda _: "/usr/bin/env")
    with pytest.raises(ProductError, match=r"The function ended: .*function\.zip"):
        evaluate(f"package:{package.id}", folder, work=tmp_path / "work", report=silent)


def test_without_the_functions_python_it_cannot_run(
    package: Package, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "find_interpreter", lambda _: None)
    with pytest.raises(ProductError, match=r"The function's Python 3\.13 is not on this machine"):
        evaluate(f"package:{package.id}", folder, work=tmp_path / "work", report=silent)


def test_a_bundle_that_is_elsewhere_cannot_be_packed_again(bundle: Bundle, package: Package, tmp_path: Path) -> None:
    apart = deploy(bundle, work=tmp_path / "work", report=silent, model={"bucket": "bundles-of-owls"})
    with pytest.raises(ProductError, match=r"in a bucket.*Judge the address"):
        evaluate(f"package:{apart.id}", work=tmp_path / "work", report=silent)
