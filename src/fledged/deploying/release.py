"""A package becomes what a function on AWS Lambda answers with. The alias `live` moves last.

The function, its alias and its address were made once, by the templates. Killed at any moment, `live` still points at
the version that it pointed at before, or already at the new one, whole.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

from fledged.deploying.versions import ALIAS, MAKE_IT, alias_of, descriptions, note, noted_before
from fledged.errors import DeployError, MissingExtra
from fledged.products import Package
from fledged.records import Record
from fledged.writing import bytes_of_file

_ARCHIVE, _BUNDLE = "function.zip", "bundle.zip"
_VARIABLE = "FLEDGED_BUNDLE"


class Release(Record):
    """Which version of a function answers now."""

    function: str
    alias: str
    version: str
    previous_version: str
    description: str  # of the version: its bundle and package

    def lines(self) -> list[str]:
        """For the terminal."""
        now = f"version {self.version} now ({self.description})"
        return [
            f"{self.function}: `{self.alias}` is {now}, was {self.previous_version}",
            f"To go back: fledged deploy --rollback --function {self.function}",
        ]


def changes(package: Package, function: str, bucket: str | None = None) -> list[str]:
    """What `release` would do, in words; nothing is sent. Raises DeployError."""
    with _refusals(function):
        alias = alias_of(_client("lambda"), function)
        config = _client("lambda").get_function_configuration(FunctionName=function, Qualifier=alias["FunctionVersion"])
        _check_runtime(config, function, package)
    place = f"s3://{bucket}/{_key(package)}, and from there to " if bucket else ""
    told = [f"Would send {package.n_bytes / 2**20:.1f} MB to {place}{function}"]
    bundle_now = _variables(config).get(_VARIABLE, "")
    of_templates = _of_templates(config, package)
    if config["CodeSha256"] == _base64_of(package.sha256) and bundle_now == package.bundle_url:
        is_same = f"{function}: `{alias['Name']}` is this very package already, as version {alias['FunctionVersion']}"
        return [is_same, *of_templates]
    if package.bundle_url:
        told.append(f"Would send its bundle to {package.bundle_url}, unless it is there")
    for what, now, then in (
        ("code", config["CodeSha256"], _base64_of(package.sha256)),
        ("bundle", bundle_now, package.bundle_url),
        ("architecture", *_architectures(config, package)),
        ("description", config.get("Description", ""), _description(package)),
    ):
        if now != then:
            told.append(f"  {what}: {now or 'in the package'} -> {then or 'in the package'}")
    return [
        *told,
        *of_templates,
        f"  `{alias['Name']}`: version {alias['FunctionVersion']} -> a new one, when it is ready",
    ]


def release(package: Package, function: str, bucket: str | None = None) -> Release:
    """Upload the package, make a version of it and point `live` at that; by way of a bucket if one is named.

    Raises DeployError where AWS refuses, where it holds other bytes than were sent, or where somebody else moved `live`
    in the meantime; `live` is then as it was.
    """
    data = _checked(package, _ARCHIVE, package.sha256)
    with _refusals(function):
        functions = _client("lambda")
        before = alias_of(functions, function)
        _check_runtime(functions.get_function_configuration(FunctionName=function), function, package)
        if package.bundle_url:
            packed = _checked(package, _BUNDLE, package.bundle_sha256)
            _store(package.settings.model.bucket, package.bundle_key, packed, package.bundle_sha256)
        _configure(functions, function, package)
        if bucket is None:
            code: dict[str, Any] = {"ZipFile": data}
        else:
            _store(bucket, _key(package), data, package.sha256)
            code = {"S3Bucket": bucket, "S3Key": _key(package)}
        functions.update_function_code(
            FunctionName=function, Architectures=[package.settings.architecture], Publish=False, **code
        )
        functions.get_waiter("function_updated_v2").wait(FunctionName=function)
        wanted = _base64_of(package.sha256)
        version = functions.publish_version(FunctionName=function, CodeSha256=wanted, Description=_description(package))
        if version["CodeSha256"] != wanted:
            raise DeployError(
                "AWS holds other bytes than were sent", where=function, remedy="Run the same command again."
            )
        # Another release at the same time may have named another bundle between the two.
        if _variables(version).get(_VARIABLE, "") != package.bundle_url:
            raise DeployError(
                "Somebody else changed the function in the meantime",
                where=function,
                remedy="Run the same command again.",
            )
        functions.get_waiter("published_version_active").wait(FunctionName=function, Qualifier=version["Version"])
        # What is sent twice is one version to AWS.
        earlier = [each for each in (before["FunctionVersion"], *noted_before(before)) if each != version["Version"]]
        return _point(functions, function, before, version["Version"], _description(package), earlier)


def roll_back(function: str) -> Release:
    """Point `live` at the version that answered before the one that it points at. Raises DeployError if there is none.

    That is as it was noted when `live` was moved, since the next lower number may be one that was gone back from. Where
    something else moved it, such as a template, it is the next lower number.
    """
    with _refusals(function):
        functions = _client("lambda")
        before = alias_of(functions, function)
        earlier, description, noted = _before(functions, function, before)
        return _point(functions, function, before, earlier, description, noted)


def rollback_changes(function: str) -> list[str]:
    """What `roll_back` would do, in words; nothing is sent. Raises DeployError."""
    with _refusals(function):
        functions = _client("lambda")
        before = alias_of(functions, function)
        earlier, description, _ = _before(functions, function, before)
    return [
        f"Would send nothing but this to {function}",
        f"  `{before['Name']}`: version {before['FunctionVersion']} -> {earlier} ({description})",
    ]


def _before(functions: Any, function: str, alias: dict[str, Any]) -> tuple[str, str, list[str]]:
    """The version that answered before, its description, and those noted to have answered before that."""
    versions = descriptions(functions, function)
    noted = [version for version in noted_before(alias) if version in versions]
    lower = [version for version in versions if int(version) < int(alias["FunctionVersion"])]
    earlier = noted or sorted(lower, key=int, reverse=True)
    if not earlier:
        raise DeployError(
            f"Version {alias['FunctionVersion']} is the first: there is none to go back to",
            where=function,
            remedy="Deploy another bundle with --function.",
        )
    return earlier[0], versions[earlier[0]], noted[1:]


def _point(
    functions: Any, function: str, before: dict[str, Any], version: str, description: str, earlier: list[str]
) -> Release:
    alias: str = before["Name"]
    functions.update_alias(
        FunctionName=function,
        Name=alias,
        FunctionVersion=version,
        RevisionId=before["RevisionId"],
        Description=note(version, earlier),
    )
    return Release(
        function=function,
        alias=alias,
        version=version,
        previous_version=before["FunctionVersion"],
        description=description,
    )


def _check_runtime(config: dict[str, Any], function: str, package: Package) -> None:
    runs, wanted = config.get("Runtime"), f"python{package.settings.python}"
    if runs is not None and runs != wanted:
        raise DeployError(
            f"The function runs {runs}, and the package is for {wanted}",
            where=function,
            remedy=f"Add --set deploy.python={runs.removeprefix('python')}, or change the function by its template.",
        )


def _architectures(config: dict[str, Any], package: Package) -> tuple[str, str]:
    """Of the function now, and then."""
    (now,) = config.get("Architectures") or ["x86_64"]
    return now, package.settings.architecture


def _of_templates(config: dict[str, Any], package: Package) -> list[str]:
    """What differs and is not sent with a package: the templates change it."""
    wanted = package.settings
    return [
        f"  {name}: stays {config[key]}; for {value} send the template"
        for name, key, value in (
            ("memory_mb", "MemorySize", wanted.memory_mb),
            ("timeout_s", "Timeout", wanted.timeout_s),
        )
        if key in config and config[key] != value
    ]


def _configure(functions: Any, function: str, package: Package) -> None:
    """Name the bundle in the function's environment, which each version keeps as it was when it was made."""
    variables = _variables(functions.get_function_configuration(FunctionName=function))
    wanted = {name: value for name, value in variables.items() if name != _VARIABLE}
    if package.bundle_url:
        wanted[_VARIABLE] = package.bundle_url
    if wanted != variables:
        functions.update_function_configuration(FunctionName=function, Environment={"Variables": wanted})
        functions.get_waiter("function_updated_v2").wait(FunctionName=function)


def _variables(config: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = config.get("Environment", {}).get("Variables", {})
    return found


def _checked(package: Package, name: str, sha256: str) -> bytes:
    data = bytes_of_file(package.folder / name)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DeployError(
            "The package is not what was packed", where=package.folder / name, remedy="Run: fledged deploy"
        )
    return data


def _store(bucket: str, key: str, data: bytes, sha256: str) -> None:
    """Put an object that is named by its content; read it back where it is there already."""
    from botocore.exceptions import ClientError

    objects = _client("s3")
    try:
        objects.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*", ChecksumSHA256=_base64_of(sha256))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "PreconditionFailed":
            raise
    # What is stored is checked by our own hash, whoever stored it.
    digest = hashlib.sha256()
    for chunk in objects.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(2**20):
        digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise DeployError(
            "The bucket holds other bytes than were sent",
            where=f"s3://{bucket}/{key}",
            remedy="Delete that object and run the same command again.",
        )


def _key(package: Package) -> str:
    return f"fledged/{package.sha256}.zip"


def _description(package: Package) -> str:
    return f"fledged bundle {package.bundle_id}, package {package.sha256[:12]}"


def _base64_of(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _client(service: str) -> Any:
    try:
        import boto3
    except ImportError as error:
        raise MissingExtra("aws", "boto3") from error
    return boto3.client(service)


@contextlib.contextmanager
def _refusals(function: str) -> Iterator[None]:
    """Turn what AWS refuses into one line with the remedy."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise MissingExtra("aws", "boto3") from error
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        code, words = told.get("Code", ""), told.get("Message", str(error))
        remedy = {
            "ResourceNotFoundException": MAKE_IT,
            "NoSuchBucket": "Name a bucket of yours with --bucket, or leave it out.",
            "PreconditionFailedException": f"Somebody else moved `{ALIAS}` in the meantime. Look, and run it again.",
            "ResourceConflictException": "Another update is under way. Run the same command again in a minute.",
        }.get(code, "Check the credentials and what they may do, and run the same command again.")
        raise DeployError(f"AWS refused: {words}", where=function, remedy=remedy) from error
    except BotoCoreError as error:
        remedy = "Set credentials and a region, for example with: aws configure"
        raise DeployError(f"AWS cannot be asked: {error}", where=function, remedy=remedy) from error
