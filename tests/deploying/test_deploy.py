"""A package: what is in it, how large it is, the same bytes each time, and templates that hold to their promises."""

from __future__ import annotations

import itertools
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fledged.config import parse_assignments, resolve
from fledged.deploying import package as packing
from fledged.deploying.deploy import deploy
from fledged.deploying.templates import rendered
from fledged.errors import ConfigError, ProductError
from fledged.evaluating.evaluate import evaluate
from fledged.products import Bundle, Package
from fledged.progress import silent
from fledged.settings.deploying import DeployConfig
from fledged.workspace import Workspace
from tests.serving.photos import encoded, picture

WAYS = [
    (endpoint, auth)
    for endpoint, auth in itertools.product(("url", "http_api", "rest_api"), ("iam", "none", "api_key"))
]


def test_it_holds_what_answers_and_nothing_that_trains(packed: Package, bundle: Bundle) -> None:
    with zipfile.ZipFile(packed.folder / "function.zip") as archive:
        names = set(archive.namelist())
        assert archive.read("bundle/bundle.json") == (bundle.folder / "bundle.json").read_bytes()
        assert archive.read("bundle/model.onnx") == (bundle.folder / "model.onnx").read_bytes()
    assert {"fledged/serving/function.py", "fledged/serving/page/index.html", "fledged/images.py"} <= names
    first = {name.partition("/")[0] for name in names}
    assert first.isdisjoint({"torch", "torchvision", "polars", "sklearn", "boto3", "typer", "rich", "uvicorn", "bin"})
    assert not any(name.startswith(("fledged/training", "fledged/cli", "fledged/networks")) for name in names)


@pytest.mark.skipif(packing.find_interpreter("3.13") is None, reason="the function's Python 3.13 is not here")
def test_the_very_zip_can_be_judged_on_photos(packed: Package, bundle: Bundle, work: Path, tmp_path: Path) -> None:
    for colour in ("red", "green"):
        (tmp_path / colour).mkdir()
        for n in range(2):
            (tmp_path / colour / f"{n}.jpg").write_bytes(encoded(picture(colour, (64 + n, 48)), "JPEG"))
    (tmp_path / "red" / "text.jpg").write_text("no photo")
    names = [f"package:{packed.id}", f"bundle:{bundle.id}"]
    outside, here = (evaluate(name, tmp_path, work=work, report=silent, batch_size=1) for name in names)
    assert (outside.subject, outside.accuracy.n, outside.n_unreadable) == (names[0], 4, 1)
    # Digit by digit, in another process with another Python.
    asked = [report.predictions().drop("error") for report in (outside, here)]
    assert asked[0].equals(asked[1])


def test_it_is_within_what_lambda_takes_with_room_for_a_model(packed: Package) -> None:
    model = 13.6 * 2**20  # efficientnet_lite0 in float32, which hardly gets smaller in a zip
    assert packed.n_bytes + model < 50 * 2**20
    assert packed.n_bytes_unpacked + model < 160 * 10**6


@pytest.mark.usefixtures("few_libraries")
def test_the_same_bundle_gives_the_same_bytes_elsewhere(bundle: Bundle, tmp_path: Path) -> None:
    one, other = (deploy(bundle, work=tmp_path / name, report=silent) for name in ("one", "other"))
    assert (one.id, one.sha256, one.files) == (other.id, other.sha256, other.files)
    assert one.is_compiled == (packing.find_interpreter("3.13") is not None)
    assert deploy(bundle, work=tmp_path / "other", report=silent) == other


@pytest.fixture
def few_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packing takes seconds: where libraries play no part, there are few."""
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "noise.bin").write_bytes(np.random.default_rng(0).bytes(2**21))
    monkeypatch.setattr("fledged.deploying.distributions.unpacked", lambda *_: tmp_path / "libraries")


@pytest.mark.usefixtures("few_libraries")
def test_a_package_that_lambda_would_refuse_is_not_made(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fledged.deploying.deploy.MAX_ZIPPED_BYTES", 2**20)
    with pytest.raises(ProductError, match=r"The package has \d MB, and Lambda takes 1\. Train a smaller backbone"):
        deploy(bundle, work=tmp_path, report=silent)
    assert list(Workspace(tmp_path).all(Package)) == []
    assert not list(tmp_path.glob("packages/*/function.zip"))


@pytest.mark.usefixtures("few_libraries")
def test_the_bundle_may_be_kept_apart(bundle: Bundle, tmp_path: Path) -> None:
    from cfnlint.api import ManualArgs, lint_file

    made = deploy(bundle, work=tmp_path, report=silent, model={"bucket": "bundles-of-owls"})
    with zipfile.ZipFile(made.folder / "function.zip") as archive:
        assert not any(name.startswith("bundle/") for name in archive.namelist())
    with zipfile.ZipFile(made.folder / "bundle.zip") as archive:
        assert archive.read("model.onnx") == (bundle.folder / "model.onnx").read_bytes()
        assert archive.read("bundle.json") == (bundle.folder / "bundle.json").read_bytes()
    for name in ("template.yaml", "bucket.yaml"):
        assert lint_file(made.folder / name, config=ManualArgs(regions=["eu-central-1"])) == []
    function = yaml.load((made.folder / "template.yaml").read_text(), _Loader)["Resources"]
    assert function["Function"]["Properties"]["Environment"]["Variables"] == {"FLEDGED_BUNDLE": made.bundle_url}
    log, objects = function["Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert (log["Resource"], objects["Action"]) == ("Logs.Arn", "s3:GetObject")
    assert objects["Resource"] == "arn:${AWS::Partition}:s3:::bundles-of-owls/fledged/bundles/*"
    serverless = yaml.load((made.folder / "serverless.yml").read_text(), _Loader)["provider"]
    assert serverless["environment"] == {"FLEDGED_BUNDLE": made.bundle_url}
    bucket = yaml.load((made.folder / "bucket.yaml").read_text(), _Loader)["Resources"]["Bundles"]
    assert bucket["DeletionPolicy"] == "Retain"
    assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values())
    assert made.bundle_url in (made.folder / "README.md").read_text()


@pytest.mark.usefixtures("few_libraries")
def test_where_its_python_is_not_here_modules_go_as_they_are(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "find_interpreter", lambda _: None)
    made = deploy(bundle, work=tmp_path, report=silent)
    assert not made.is_compiled
    with zipfile.ZipFile(made.folder / "function.zip") as archive:
        assert not any(name.endswith(".pyc") for name in archive.namelist())


def test_an_interpreter_is_one_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    (tmp_path / "python3.13").write_text("#!/bin/sh\necho no such version >&2\nexit 127\n")
    (tmp_path / "python3.13").chmod(0o755)
    assert packing.find_interpreter("3.13") is None
    kept = tmp_path / "pyenv" / "versions" / "3.13.4" / "bin" / "python3.13"
    kept.parent.mkdir(parents=True)
    kept.write_text("#!/bin/sh\necho 3.13\n")
    kept.chmod(0o755)
    assert packing.find_interpreter("3.13") == str(kept)


def test_a_version_of_python_may_be_given_as_a_number() -> None:
    given = parse_assignments(["deploy.python=3.12"])["deploy"]
    assert resolve(DeployConfig, given).python == "3.12"
    with pytest.raises(ConfigError, match=r"Input should be '3\.12'"):
        resolve(DeployConfig, parse_assignments(["deploy.python=3.9"])["deploy"])


def test_no_address_is_open_unless_asked_for(packed: Package, bundle: Bundle) -> None:
    assert DeployConfig().auth == "iam"
    for endpoint, auth in WAYS:
        text = template(packed, bundle, "template.yaml", endpoint=endpoint, auth=auth)
        stated = [
            word for word in ("AWS_IAM", "ApiKeyRequired: true", "FLEDGED_API_KEYS: !Ref ApiKeys") if word in text
        ]
        assert len(stated) == (auth != "none"), (endpoint, auth)


def template(packed: Package, bundle: Bundle, name: str, **settings: Any) -> str:
    config = DeployConfig.model_validate(settings)
    return rendered(name, packed.model_copy(update={"settings": config}), bundle)


@pytest.mark.parametrize(("endpoint", "auth"), WAYS)
def test_the_template_passes_the_linter_and_grants_little(
    packed: Package, bundle: Bundle, tmp_path: Path, endpoint: str, auth: str
) -> None:
    from cfnlint.api import ManualArgs, lint_file

    text = template(packed, bundle, "template.yaml", endpoint=endpoint, auth=auth, architecture="arm64")
    (tmp_path / "function.zip").write_bytes(b"")
    path = tmp_path / "template.yaml"
    path.write_text(text)
    assert lint_file(path, config=ManualArgs(regions=["eu-central-1"])) == []
    # As AWS reads it; `!Ref X` and the like become their words.
    read = yaml.load(text, _Loader)
    made = read["Resources"]
    function = made["Function"]["Properties"]
    assert function["Timeout"] <= 29
    assert function["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert ("FunctionUrlConfig" in function) == (endpoint == "url")
    (policy,) = made["Role"]["Properties"]["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Resource"] == "Logs.Arn"
    assert "*" not in json.dumps(statement)
    if endpoint == "url":
        assert function["FunctionUrlConfig"]["AuthType"] == ("AWS_IAM" if auth == "iam" else "NONE")
    if auth == "api_key" and endpoint != "rest_api":
        assert function["Environment"]["Variables"] == {"FLEDGED_API_KEYS": "ApiKeys"}
        assert read["Parameters"]["ApiKeys"]["NoEcho"]
    else:
        assert "Environment" not in function
        assert "Parameters" not in read
    if endpoint == "rest_api":
        assert made["Api"]["Properties"]["BinaryMediaTypes"] == ["*~1*"]


@pytest.mark.parametrize("topic", ["", "arn:aws:sns:eu-central-1:123456789012:owls"])
def test_alarms_tell_a_topic_where_there_is_one(packed: Package, bundle: Bundle, topic: str, tmp_path: Path) -> None:
    from cfnlint.api import ManualArgs, lint_file

    (tmp_path / "function.zip").write_bytes(b"")
    path = tmp_path / "template.yaml"
    path.write_text(template(packed, bundle, "template.yaml", alarms={"topic": topic}))
    assert lint_file(path, config=ManualArgs(regions=["eu-central-1"])) == []
    serverless = template(packed, bundle, "serverless.yml", alarms={"topic": topic})
    for made in (yaml.load(path.read_text(), _Loader), yaml.safe_load(serverless)["resources"]):
        alarms = [each["Properties"] for each in made["Resources"].values() if each["Type"] == "AWS::CloudWatch::Alarm"]
        assert [alarm.get("AlarmActions") for alarm in alarms] == [[topic] if topic else None] * 3


@pytest.mark.parametrize(("endpoint", "auth"), WAYS)
def test_the_serverless_file_says_the_same(packed: Package, bundle: Bundle, endpoint: str, auth: str) -> None:
    made = yaml.safe_load(template(packed, bundle, "serverless.yml", endpoint=endpoint, auth=auth))
    function = made["functions"]["classify"]
    assert (function["snapStart"], function["timeout"]) == (True, 29)
    assert made["provider"]["runtime"] == "python3.13"
    own_keys = {"FLEDGED_API_KEYS": "${env:FLEDGED_API_KEYS}"}
    asks_for_keys = auth == "api_key" and endpoint != "rest_api"
    assert made["provider"].get("environment") == (own_keys if asks_for_keys else None)
    if endpoint == "url":
        assert function["url"] == ({"authorizer": "aws_iam"} if auth == "iam" else {"cors": False})
    if endpoint == "rest_api":
        assert made["provider"]["apiGateway"]["binaryMediaTypes"] == ["*/*"]
        assert all(
            entry["http"].get("private") == (True if auth == "api_key" else None) for entry in function["events"]
        )


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags, each of which becomes its own text."""


_Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))
