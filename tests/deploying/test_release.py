"""A package is sent to a function, and back, through the API of AWS as moto answers it on this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from fledged.cli import app
from fledged.deploying import release as releasing
from fledged.deploying.deploy import deploy
from fledged.deploying.release import changes, release, roll_back
from fledged.errors import DeployError
from fledged.products import Bundle, Package
from fledged.progress import silent
from tests.aws import function_of_the_templates, local_aws
from tests.bundles import make_tiny_bundle

NAME = "fledged"
BUCKET = "photos-of-owls"


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with local_aws() as address:
        yield address


@pytest.fixture
def functions(aws: str) -> Any:
    """A function as the templates make it, with version 1 behind `live`."""
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield function_of_the_templates(NAME)
    import httpx

    httpx.post(f"{aws}/moto-api/reset")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Package]:
    """Of two bundles, with hardly any libraries."""
    (tmp_path / "libraries").mkdir()
    monkeypatch.setattr("fledged.deploying.distributions.unpacked", lambda *_: tmp_path / "libraries")
    monkeypatch.setattr("fledged.deploying.package.find_interpreter", lambda _: None)
    bundles: list[Bundle] = [
        make_tiny_bundle(tmp_path / "work", bundle_id=f"c010c4ed000{n}", classes=["red", "green", "blue", "x"][: 3 + n])
        for n in range(2)
    ]
    return [deploy(bundle, work=tmp_path / "work", report=silent) for bundle in bundles]


def live(functions: Any) -> str:
    version: str = functions.get_alias(FunctionName=NAME, Name="live")["FunctionVersion"]
    return version


@pytest.mark.parametrize("bucket", [None, BUCKET], ids=["directly", "by way of a bucket"])
def test_it_becomes_the_version_that_answers_and_goes_back(
    functions: Any, packages: list[Package], bucket: str | None
) -> None:
    first, second = (release(package, NAME, bucket) for package in packages)
    assert (first.version, first.previous_version, second.version, second.previous_version) == ("2", "1", "3", "2")
    code = functions.get_function_configuration(FunctionName=NAME, Qualifier="live")["CodeSha256"]
    assert code == releasing._base64_of(packages[1].sha256)
    assert packages[1].bundle_id in second.lines()[0]
    back = roll_back(NAME)
    assert (back.version, live(functions)) == ("2", "2")
    assert packages[0].bundle_id in back.description
    assert roll_back(NAME).version == "1"
    with pytest.raises(DeployError, match="Version 1 is the first"):
        roll_back(NAME)


def test_a_dry_run_of_going_back_goes_nowhere(functions: Any, packages: list[Package]) -> None:
    for package in packages:
        release(package, NAME)
    noted = functions.get_alias(FunctionName=NAME, Name="live")
    done = CliRunner().invoke(app, ["deploy", "--function", NAME, "--rollback", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert f"`live`: version 3 -> 2 (fledged bundle {packages[0].bundle_id}" in done.stdout
    assert functions.get_alias(FunctionName=NAME, Name="live")["RevisionId"] == noted["RevisionId"]
    assert live(functions) == "3"
    assert roll_back(NAME).version == "2"


def test_going_back_passes_over_what_was_gone_back_from_before(functions: Any, packages: list[Package]) -> None:
    good, bad = packages
    versions = [release(good, NAME).version, release(bad, NAME).version, roll_back(NAME).version]
    assert versions == ["2", "3", "2"]
    assert release(bad, NAME).version == "4"  # as bad as version 3, which answered only for a moment
    assert (roll_back(NAME).version, live(functions)) == ("2", "2")
    assert roll_back(NAME).version == "1"


def test_what_a_template_moved_goes_back_by_number(functions: Any, packages: list[Package]) -> None:
    for package in packages:
        release(package, NAME)
    newest = functions.publish_version(FunctionName=NAME)["Version"]
    functions.create_alias(FunctionName=NAME, Name="other", FunctionVersion=newest)
    functions.update_alias(FunctionName=NAME, Name="live", FunctionVersion="2")  # the note of version 3 is not its own
    assert roll_back(NAME).version == "1"


def test_the_bundle_may_come_from_a_bucket(functions: Any, packages: list[Package], tmp_path: Path) -> None:
    """Each version names its own bundle: going back goes back to that as well."""
    functions.update_function_configuration(FunctionName=NAME, Environment={"Variables": {"MINE": "kept"}})
    bundles = [packages[0].bundle_id, packages[1].bundle_id]
    apart = [deploy(one, work=tmp_path / "work", report=silent, model={"bucket": BUCKET}) for one in bundles]
    assert apart[0].sha256 == apart[1].sha256  # the code is the same
    told = "\n".join(changes(apart[0], NAME))
    assert f"Would send its bundle to s3://{BUCKET}/fledged/bundles/{apart[0].bundle_sha256}.zip" in told
    assert f"bundle: in the package -> {apart[0].bundle_url}" in told
    versions = [release(package, NAME).version for package in apart]
    assert versions == ["2", "3"]
    assert named_bundle(functions) == apart[1].bundle_url
    stored = boto3.client("s3").get_object(Bucket=BUCKET, Key=apart[1].bundle_key)["Body"].read()
    assert stored == (apart[1].folder / "bundle.zip").read_bytes()
    roll_back(NAME)
    assert named_bundle(functions) == apart[0].bundle_url
    release(packages[0], NAME)
    assert named_bundle(functions) is None
    kept = functions.get_function_configuration(FunctionName=NAME, Qualifier="live")["Environment"]["Variables"]
    assert kept == {"MINE": "kept"}


def test_a_version_with_somebody_elses_bundle_is_not_put_live(
    functions: Any, packages: list[Package], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of two packages with their bundles apart is the same, so its hash tells nothing of this."""
    bundles = [packages[0].bundle_id, packages[1].bundle_id]
    ours, theirs = [deploy(one, work=tmp_path / "work", report=silent, model={"bucket": BUCKET}) for one in bundles]
    configure = releasing._configure

    def raced(client: Any, function: str, package: Package) -> None:
        configure(client, function, package)
        configure(client, function, theirs)

    with monkeypatch.context() as patch:
        patch.setattr(releasing, "_configure", raced)
        with pytest.raises(DeployError, match="Somebody else changed the function in the meantime"):
            release(ours, NAME)
    assert live(functions) == "1"
    release(ours, NAME)
    assert named_bundle(functions) == ours.bundle_url


def named_bundle(functions: Any) -> str | None:
    """By the version that answers."""
    config = functions.get_function_configuration(FunctionName=NAME, Qualifier="live")
    found: str | None = config.get("Environment", {}).get("Variables", {}).get("FLEDGED_BUNDLE")
    return found


def test_a_function_that_osls_made_has_another_alias(functions: Any, packages: list[Package]) -> None:
    functions.delete_alias(FunctionName=NAME, Name="live")
    with pytest.raises(DeployError, match="The function has no alias `live`"):
        release(packages[0], NAME)
    functions.create_alias(FunctionName=NAME, Name="snapstart", FunctionVersion="1")
    assert release(packages[0], NAME).lines()[0].startswith("fledged: `snapstart` is version 2 now")
    assert functions.get_alias(FunctionName=NAME, Name="snapstart")["FunctionVersion"] == "2"


def test_what_would_change_is_told_and_nothing_is(functions: Any, packages: list[Package]) -> None:
    told = changes(packages[0], NAME, BUCKET)
    assert f"s3://{BUCKET}/fledged/{packages[0].sha256}.zip" in told[0]
    assert packages[0].bundle_id in told[2]
    assert live(functions) == "1"
    assert boto3.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    release(packages[0], NAME)
    assert changes(packages[0], NAME) == ["fledged: `live` is this very package already, as version 2"]


def test_what_only_a_template_changes_is_told(functions: Any, packages: list[Package], tmp_path: Path) -> None:
    other = deploy(packages[0].bundle_id, work=tmp_path / "work", report=silent, memory_mb=3008, architecture="arm64")
    told = changes(other, NAME)
    assert "  architecture: x86_64 -> arm64" in told
    assert "  memory_mb: stays 1769; for 3008 send the template" in told


def test_a_package_for_another_python_is_refused(functions: Any, packages: list[Package], tmp_path: Path) -> None:
    other = deploy(packages[0].bundle_id, work=tmp_path / "work", report=silent, python="3.12")
    for tried in (changes, release):
        with pytest.raises(DeployError, match=r"runs python3\.13, .* for python3\.12.*--set deploy\.python=3\.13"):
            tried(other, NAME)
    assert live(functions) == "1"


@pytest.mark.parametrize("step", ["put_object", "update_function_code", "publish_version", "update_alias"])
def test_killed_before_any_step_the_old_version_answers_and_the_next_try_succeeds(
    functions: Any, packages: list[Package], step: str
) -> None:
    program = (
        "import os, sys, botocore.client\n"
        "from pathlib import Path\n"
        "from fledged.deploying.release import release\n"
        "from fledged.products import Package\n"
        "from fledged.product_files import open_product\n"
        "call = botocore.client.BaseClient._make_api_call\n"
        "def dying(self, name, given):\n"
        "    if name == sys.argv[2]: os.kill(os.getpid(), 9)\n"
        "    return call(self, name, given)\n"
        "botocore.client.BaseClient._make_api_call = dying\n"
        f"release(open_product(Package, Path(sys.argv[1])), {NAME!r}, {BUCKET!r})\n"
    )
    operation = "".join(word.capitalize() for word in step.split("_"))
    done = subprocess.run(
        [sys.executable, "-c", program, str(packages[0].folder), operation],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == -9, done.stderr.decode()
    assert live(functions) == "1"
    assert int(release(packages[0], NAME, BUCKET).version) >= 2
    assert live(functions) != "1"


def test_the_alias_is_moved_from_the_revision_that_was_seen(
    functions: Any, packages: list[Package], monkeypatch: pytest.MonkeyPatch
) -> None:
    point = releasing._point

    def raced(client: Any, function: str, before: dict[str, Any], *rest: Any) -> Any:
        return point(client, function, before | {"RevisionId": "of-another-time"}, *rest)

    seen: list[dict[str, Any]] = []
    call = type(functions)._make_api_call

    def watched(self: Any, name: str, given: dict[str, Any]) -> Any:
        if name == "UpdateAlias":
            seen.append(given)
        return call(self, name, given)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", watched)
    monkeypatch.setattr(releasing, "_point", raced)
    # moto does not look at the revision; AWS does, so it must be sent.
    release(packages[0], NAME)
    assert seen[0]["RevisionId"] == "of-another-time"


def test_other_bytes_in_the_bucket_are_found(functions: Any, packages: list[Package]) -> None:
    boto3.client("s3").put_object(Bucket=BUCKET, Key=f"fledged/{packages[0].sha256}.zip", Body=b"something else")
    with pytest.raises(DeployError, match="The bucket holds other bytes"):
        release(packages[0], NAME, BUCKET)
    assert live(functions) == "1"


def test_what_aws_refuses_is_one_line_with_the_remedy(functions: Any, packages: list[Package]) -> None:
    with pytest.raises(DeployError, match=r"AWS refused: .*no-such.*sam deploy --guided"):
        release(packages[0], "no-such")
    with pytest.raises(DeployError, match=r"AWS refused: .*Name a bucket of yours"):
        release(packages[0], NAME, "no-such-bucket")
    assert live(functions) == "1"


def test_without_credentials_nothing_is_tried(
    functions: Any, packages: list[Package], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(DeployError, match=r"AWS cannot be asked: .*aws configure"):
        release(packages[0], NAME)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.mark.parametrize("page", ["deploy.md", "examples/retrain.yml"])
def test_what_the_sender_must_be_allowed_is_told(
    functions: Any, packages: list[Package], monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    asked: set[str] = set()
    call = type(functions)._make_api_call

    def watched(self: Any, name: str, given: dict[str, Any]) -> Any:
        asked.add(name)
        return call(self, name, given)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", watched)
    changes(packages[0], NAME)
    for package in packages:
        release(package, NAME)
    roll_back(NAME)
    # What is sent to configure it is sent only where a bundle comes from a bucket.
    asked |= {"UpdateFunctionConfiguration"}
    told = (Path(__file__).parents[2] / "docs" / page).read_text()
    assert asked <= set(re.findall(r"\w+", told))


def test_a_package_that_was_changed_is_not_sent(functions: Any, packages: list[Package]) -> None:
    (packages[0].folder / "function.zip").write_bytes(b"changed")
    with pytest.raises(DeployError, match="not what was packed"):
        release(packages[0], NAME)
