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

from fledged.errors import DeployError, MissingExtra
from fledged.products import Package
from fledged.records import Record
from fledged.writing import bytes_of_file

ALIAS = "live"
# osls names the alias of a function with SnapStart so, whatever one asks for.
_ALIASES = (ALIAS, "snapstart")
_ARCHIVE, _BUNDLE = "function.zip", "bundle.zip"
_VARIABLE = "FLEDGED_BUNDLE"
_MAKE_IT = "Make it once by the templates: sam deploy --guided, in the package's folder."


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
        alias = _alias(_client("lambda"), function)
        config = _client("lambda").get_function_configuration(FunctionName=function, Qualifier=alias["FunctionVersion"])
    place = f"s3://{bucket}/{_key(package)}, and from there to " if bucket else ""
    told = [f"Would send {package.n_bytes / 2**20:.1f} MB to {place}{function}"]
    bundle_now = _variables(config).get(_VARIABLE, "")
    if config["CodeSha256"] == _base64_of(package.sha256) and bundle_now == package.bundle_url:
        return [f"{function}: `{alias['Name']}` is this very package already, as version {alias['FunctionVersion']}"]
    if package.bundle_url:
        told.append(f"Would send its bundle to {package.bundle_url}, unless it is there")
    for what, now, then in (
        ("code", config["CodeSha256"], _base64_of(package.sha256)),
        ("bundle", bundle_now, package.bundle_url),
        ("description", config.get("Description", ""), _description(package)),
    ):
        if now != then:
            told.append(f"  {what}: {now or 'in the package'} -> {then or 'in the package'}")
    return [*told, f"  `{alias['Name']}`: version {alias['FunctionVersion']} -> a new one, when it is ready"]


def release(package: Package, function: str, bucket: str | None = None) -> Release:
    """Upload the package, make a version of it and point `live` at that; by way of a bucket if one is named.

    Raises DeployError where AWS refuses, where it holds other bytes than were sent, or where somebody else moved `live`
    in the meantime; `live` is then as it was.
    """
    data = _checked(package, _ARCHIVE, package.sha256)
    with _refusals(function):
        functions = _client("lambda")
        before = _alias(functions, function)
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
        functions.get_waiter("published_version_active").wait(FunctionName=function, Qualifier=version["Version"])
        return _point(functions, function, before, version["Version"], _description(package))


def roll_back(function: str) -> Release:
    """Point `live` at the version before the one that it points at. Raises DeployError if there is none."""
    with _refusals(function):
        functions = _client("lambda")
        before = _alias(functions, function)
        versions: dict[int, str] = {}
        for page in functions.get_paginator("list_versions_by_function").paginate(FunctionName=function):
            for version in page["Versions"]:
                if version["Version"].isdecimal():
                    versions[int(version["Version"])] = version.get("Description", "")
        earlier = [number for number in versions if number < int(before["FunctionVersion"])]
        if not earlier:
            raise DeployError(
                f"Version {before['FunctionVersion']} is the first: there is none to go back to", where=function
            )
        return _point(functions, function, before, str(max(earlier)), versions[max(earlier)])


def _point(functions: Any, function: str, before: dict[str, Any], version: str, description: str) -> Release:
    alias: str = before["Name"]
    functions.update_alias(FunctionName=function, Name=alias, FunctionVersion=version, RevisionId=before["RevisionId"])
    return Release(
        function=function,
        alias=alias,
        version=version,
        previous_version=before["FunctionVersion"],
        description=description,
    )


def _alias(functions: Any, function: str) -> dict[str, Any]:
    """The one that answers, as the template that made the function calls it."""
    there = {alias["Name"]: alias for alias in functions.list_aliases(FunctionName=function)["Aliases"]}
    for name in _ALIASES:
        if name in there:
            found: dict[str, Any] = there[name]
            return found
    raise DeployError(f"The function has no alias `{ALIAS}`", where=function, remedy=_MAKE_IT)


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
            "ResourceNotFoundException": _MAKE_IT,
            "NoSuchBucket": "Name a bucket of yours with --bucket, or leave it out.",
            "PreconditionFailedException": f"Somebody else moved `{ALIAS}` in the meantime. Look, and run it again.",
            "ResourceConflictException": "Another update is under way. Run the same command again in a minute.",
        }.get(code, "Check the credentials and what they may do, and run the same command again.")
        raise DeployError(f"AWS refused: {words}", where=function, remedy=remedy) from error
    except BotoCoreError as error:
        remedy = "Set credentials and a region, for example with: aws configure"
        raise DeployError(f"AWS cannot be asked: {error}", where=function, remedy=remedy) from error
