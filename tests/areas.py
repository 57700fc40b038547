"""Where working folders may lie, and what others do there: S3 as moto answers it, and obstore's store in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fledged.buckets import Bucket
from fledged.stores import Store


@dataclass(frozen=True)
class InS3:
    """Objects of a bucket, asked for by boto3."""

    client: Any
    kind: type[Bucket] = Bucket
    root: str = "s3://work"

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket="work", Key=name, Body=data)

    def get(self, name: str) -> bytes:
        data: bytes = self.client.get_object(Bucket="work", Key=name)["Body"].read()
        return data

    def delete(self, name: str) -> None:
        self.client.delete_object(Bucket="work", Key=name)

    def names(self, prefix: str) -> list[str]:
        found = self.client.list_objects_v2(Bucket="work", Prefix=prefix).get("Contents", ())
        return [each["Key"].removeprefix(prefix) for each in found]


@dataclass(frozen=True)
class InStore:
    """Objects of one of obstore's stores, which tells their versions by ETags as Azure does."""

    store: Any
    kind: type[Store] = Store
    root: str = "abfss://work@account.dfs.core.windows.net"

    def put(self, name: str, data: bytes) -> None:
        self.store.put(name, data)

    def get(self, name: str) -> bytes:
        return bytes(self.store.get(name).bytes())

    def delete(self, name: str) -> None:
        self.store.delete(name)

    def names(self, prefix: str) -> list[str]:
        found = [each["path"] for page in self.store.list(prefix.rstrip("/")) for each in page]
        return sorted(name.removeprefix(prefix) for name in found)
