"""AWS's API as moto answers it on this machine, for as long as a block lasts."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import boto3
import pytest
from loky import get_reusable_executor
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"


@contextlib.contextmanager
def local_aws() -> Iterator[str]:
    """Its address; boto3 asks it, with credentials of its own and none of this machine's."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        yield f"http://{host}:{port}"
    server.stop()


def function_of_the_templates(name: str) -> Any:
    """A client of Lambda with a function as the templates make it: version 1 behind `live`."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = boto3.client("iam").create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    client = boto3.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="fledged.serving.function.handler",
        Code={"ZipFile": b"the first one"},
        MemorySize=1769,
        Timeout=29,
        Publish=True,
    )
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return client


@contextlib.contextmanager
def buckets(cache: Path, *names: str) -> Iterator[Any]:
    """A client of a local S3 with these buckets; copies of what they hold are kept in `cache`."""
    with local_aws() as address, pytest.MonkeyPatch.context() as patch:
        urlopen(f"{address}/moto-api/reset", b"").close()  # all servers of a process hold the same buckets
        patch.setenv("XDG_CACHE_HOME", str(cache))
        client = boto3.client("s3")
        for name in names:
            client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        # Worker processes keep the environment in which they began.
        get_reusable_executor().shutdown(wait=True)
        yield client
    get_reusable_executor().shutdown(wait=True)


def upload(client: Any, folder: Path, bucket: str, prefix: str) -> None:
    """Every file of a folder."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            key = f"{prefix}/{file.relative_to(folder).as_posix()}"
            client.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())


class Between:
    """What stands between a client and S3: counts requests, and spoils those that it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []  # method, path
        self.spoil: Callable[[str, str], int | None] = lambda method, path: None  # -> the status to answer with
        self.forgotten: set[str] = set()  # headers of requests, in small letters, that S3 does not get to see

    def count(self, method: str) -> int:
        return sum(each == method for each, _ in self.seen)


@contextlib.contextmanager
def between() -> Iterator[Between]:
    """Stands there for as long as the block lasts; the clients of this process ask it instead of S3."""
    there = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    told = Between()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: object) -> None:
            """Silent."""

        def answer(self) -> None:
            path = self.path
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.seen.append((self.command, path))
            status = told.spoil(self.command, path)
            if status is not None:
                name = {403: "AccessDenied", 503: "SlowDown"}[status]
                data = f"<?xml version='1.0'?><Error><Code>{name}</Code><Message>{name}</Message></Error>".encode()
                headers = [("Content-Type", "application/xml")]
            else:
                asked = http.client.HTTPConnection(there.hostname or "", there.port or 0)
                passed = {key: value for key, value in self.headers.items() if key.lower() not in told.forgotten}
                asked.request(self.command, path, body, passed)
                got = asked.getresponse()
                status, data, headers = got.status, got.read(), got.getheaders()
                if self.command == "HEAD":
                    data = b""
                asked.close()
            self.send_response(status)
            for key, value in headers:
                if key.lower() not in ("connection", "transfer-encoding", "date", "server", "content-length"):
                    self.send_header(key, value)
            length = {k.lower(): v for k, v in headers}.get("content-length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        yield told
    server.shutdown()
    server.server_close()
