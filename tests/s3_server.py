"""A real S3 API on loopback: moto's server in a thread, with one bucket per test.

Belongs here: starting it, and what a sender or a fault does to a bucket. Does not belong here: the laws.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from unittest.mock import patch

from metrify_assets.storage.s3 import Bucket

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
}
PREFIX = "metrify/test"


@contextmanager
def s3_endpoint() -> Iterator[str]:
    """Run the server; yield its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with patch.dict(os.environ, CREDENTIALS):
        server.start()
        try:
            host, port = server.get_host_and_port()
            yield f"http://{host}:{port}"
        finally:
            server.stop()


@dataclass(frozen=True)
class Sender:
    """Somebody who puts files into the inbox of a bucket, and what a test knows of the server behind it."""

    bucket: Bucket

    def put(self, feed: str, name: str, content: bytes, modified: datetime | None = None) -> None:
        """Put an object; with a moment, as if it had been written then."""
        key = self.bucket.full(f"inbox/{feed}/{name}")
        self.bucket.client.put_object(Bucket=self.bucket.name, Key=key, Body=content)
        if modified is not None:
            self._stored()[key].last_modified = modified.replace(tzinfo=None)

    def put_many(self, keys: list[str], content: bytes = b"x", modified: datetime | None = None) -> None:
        """Store objects in the server directly: a request each would take minutes."""
        backend = _backend()
        for key in keys:
            stored = backend.put_object(self.bucket.name, self.bucket.full(key), content)
            if modified is not None:
                stored.last_modified = modified.replace(tzinfo=None)

    def remove(self, feed: str, name: str) -> None:
        """Remove an object."""
        key = self.bucket.full(f"inbox/{feed}/{name}")
        self.bucket.client.delete_object(Bucket=self.bucket.name, Key=key)

    def all_keys(self) -> list[str]:
        """Return all keys below the prefix."""
        return [item.key for page in self.bucket.pages("") for item in page]

    def _stored(self) -> Any:
        return _backend().buckets[self.bucket.name].keys


def _backend() -> Any:
    from moto.s3.models import s3_backends

    return s3_backends["123456789012"]["aws"]


def new_bucket(endpoint: str, name: str) -> Sender:
    """Make a bucket and return the sender that writes into it."""
    bucket = Bucket(name, PREFIX, endpoint)
    bucket.client.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": CREDENTIALS["AWS_DEFAULT_REGION"]}
    )
    return Sender(bucket)


def s3_settings(sender: Sender) -> dict[str, Any]:
    """Return the settings of an installation whose files lie in the sender's bucket."""
    return {
        "store": "s3",
        "s3_bucket": sender.bucket.name,
        "s3_prefix": sender.bucket.prefix,
        "s3_endpoint": sender.bucket.endpoint,
    }
