"""The templates in the hands of the tools that send them: AWS's command line for SAM, osls and serverless-offline.

`make templates` installs them, without the network's help but for the registries of packages, and runs this.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fledged.deploying.deploy import deploy
from fledged.deploying.templates import rendered
from fledged.predicting.predictor import load
from fledged.products import Bundle, Package
from fledged.progress import silent
from fledged.settings.deploying import DeployConfig, ModelPlace
from tests.deploying.emulator import FOLDER
from tests.deploying.test_deploy import WAYS
from tests.serving.photos import jpeg

TOOLS = Path(os.environ.get("FLEDGED_TOOLS", "none"))
SAM, OSLS = TOOLS / "sam" / "bin" / "sam", TOOLS / "node_modules" / ".bin" / "osls"
pytestmark = pytest.mark.skipif(
    not (SAM.exists() and OSLS.exists()),
    reason="FLEDGED_TOOLS names no folder with sam and osls; `make templates` does",
)
# They want credentials, though they send nothing; and they tell their makers nothing.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "FLEDGED_API_KEYS": "kestrel-kestrel-kestrel",
    "SAM_CLI_TELEMETRY": "0",
    "SLS_TELEMETRY_DISABLED": "1",
    "SLS_NOTIFICATIONS_MODE": "off",
}


def run(folder: Path, *command: str | Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("bucket", ["", "bundles-of-owls"])
@pytest.mark.parametrize(("endpoint", "auth"), WAYS)
def test_both_tools_take_the_templates(
    packed: Package, bundle: Bundle, tmp_path: Path, endpoint: str, auth: str, bucket: str
) -> None:
    config = DeployConfig.model_validate({"endpoint": endpoint, "auth": auth, "model": ModelPlace(bucket=bucket)})
    package = packed.model_copy(update={"settings": config, "bundle_sha256": "0" * 64 if bucket else ""})
    for name in ("template.yaml", "serverless.yml"):
        (tmp_path / name).write_text(rendered(name, package, bundle))
    with zipfile.ZipFile(tmp_path / "function.zip", "w") as archive:
        archive.writestr("x", b"x")
    assert "is a valid SAM Template" in run(tmp_path, SAM, "validate", "--lint")
    run(tmp_path, OSLS, "package")
    made = json.loads((tmp_path / ".serverless" / "cloudformation-template-update-stack.json").read_text())["Resources"]
    (alias,) = (each["Properties"] for each in made.values() if each["Type"] == "AWS::Lambda::Alias")
    assert alias["Name"] == "snapstart"  # what `fledged deploy --function` looks for, besides `live`
    if endpoint == "http_api":
        (stage,) = (each["Properties"] for each in made.values() if each["Type"] == "AWS::ApiGatewayV2::Stage")
        assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 20
    if bucket:
        granted = json.dumps([each for each in made.values() if each["Type"] == "AWS::IAM::Role"])
        assert f"{bucket}/fledged/bundles/*" in granted


@pytest.fixture
def offline(bundle: Bundle, tmp_path: Path) -> Iterator[str]:
    """The function behind serverless-offline, which runs the unpacked files with the Python that it finds."""
    package = deploy(bundle, work=bundle.folder.parent.parent, report=silent, endpoint="http_api", auth="none")
    shutil.copytree(package.folder, tmp_path / "app")
    with zipfile.ZipFile(tmp_path / "app" / "function.zip") as archive:
        archive.extractall(tmp_path / "app")
    serverless = tmp_path / "app" / "serverless.yml"
    serverless.write_text("plugins: [serverless-offline]\n" + serverless.read_text())
    (tmp_path / "app" / "node_modules").symlink_to(TOOLS / "node_modules")
    command = [str(OSLS), "offline", "--noPrependStageInUrl", "--httpPort", "4173", "--lambdaPort", "4174"]
    # Nothing of this process's Python reaches the function's.
    environment = os.environ | ENVIRONMENT | {"VIRTUAL_ENV": str(FOLDER / "venv"), "PYTHONPATH": ""}
    log = (tmp_path / "log").open("wb")
    with log, subprocess.Popen(command, cwd=tmp_path / "app", env=environment, stdout=log, stderr=log) as process:
        try:
            until_s = time.monotonic() + 60
            while time.monotonic() < until_s:
                with contextlib.suppress(httpx.HTTPError):
                    httpx.get("http://127.0.0.1:4173/livez", timeout=30)
                    break
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.2)
            yield "http://127.0.0.1:4173"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


@pytest.mark.skipif(not FOLDER.exists(), reason="the function's Python is not at hand")
def test_the_page_and_a_form_go_through_serverless_offline(offline: str, bundle: Bundle) -> None:
    assert "<!doctype html>" in httpx.get(offline, timeout=60).text
    told = httpx.post(f"{offline}/classify", files={"photo": jpeg("green")}, timeout=60).json()
    assert "top_k" in told, told
    here = load(bundle).predict(jpeg("green"))
    assert [entry["score"] for entry in told["top_k"]] == [entry.score for entry in here.top_k]
